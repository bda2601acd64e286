"""Lines of text drawn with Pillow, what a CTC recogniser reads on them, and how many characters it gets right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Array = NDArray[Any]

HEIGHT, WIDTH = 48, 320
"""What PP-OCR's own reader feeds: lines 48 pixels high, at least 320 wide."""
MODEL = ("rapidocr_onnxruntime", "models/ch_PP-OCRv4_rec_infer.onnx")

VOCABULARY = """
about after again animal answer before between bridge bright calm castle change city cloud copper country dark day
dream early earth east engine evening every family field fire flower forest friend garden glass gold good green ground
harbour head horse house island journey kitchen large leaf letter light machine market meadow metal moment money
morning mountain music night north ocean orange paper people picture place planet pocket quiet rain reason river road
school science season secret shadow silver simple small south spring stone story street summer sun table time train
travel tree valley village voice water weather west white window winter wonder wood world yellow young
"""
WORDS = tuple(VOCABULARY.split())


def lines(seed: int, count: int) -> Iterator[tuple[dict[str, Array], str]]:
    """Yields pictures `x` float32 [3, 48, 320], from -1 to 1, and the text drawn on each.

    The font is the one that Pillow ships. Words, size, place, colours, blur and noise are drawn by the seed: other seeds
    give other lines.
    """
    draw = np.random.default_rng(seed)
    for _ in range(count):
        text = _text(draw)
        yield {"x": _picture(text, draw)}, text


def characters(outputs: Mapping[str, Array], labels: Array) -> dict[str, tuple[list[int], list[int]]]:
    """Returns for each line the characters less the edits that are needed, and the characters.

    The ratio of their sums is the character accuracy: 1 - character error rate.
    """
    (probabilities,) = outputs.values()
    read = [_read(line) for line in probabilities]
    lengths = [len(text) for text in labels]
    right = [len(text) - _edits(text, got) for text, got in zip(labels, read, strict=True)]
    return {"accuracy": (right, lengths)}


def _text(draw: np.random.Generator) -> str:
    """Returns two or three words, some of them numbers, with now and then a mark behind."""
    words = []
    for _ in range(draw.integers(2, 4)):
        kind = draw.random()
        word = str(draw.integers(10, 10_000)) if kind < 0.25 else str(draw.choice(WORDS))
        words.append(word.capitalize() if kind > 0.6 else word)
    return " ".join(words) + str(draw.choice(["", "", ".", ",", "!", "?"]))


def _picture(text: str, draw: np.random.Generator) -> Array:
    paper, ink = (int(shade) for shade in (draw.integers(200, 256), draw.integers(0, 90)))
    font = ImageFont.load_default(size=float(draw.integers(26, 35)))
    line = Image.new("L", (1000, HEIGHT), paper)
    pen = ImageDraw.Draw(line)
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    pen.text((8 - left, (HEIGHT - bottom - top) / 2 + draw.integers(-3, 4)), text, fill=ink, font=font)
    line = line.crop((0, 0, int(right - left) + 16, HEIGHT))
    if line.width > WIDTH:
        line = line.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    shades = np.asarray(line, np.float32) / 127.5 - 1
    shades = shades + draw.normal(0, 0.02, shades.shape).astype(np.float32)
    padded = np.zeros((HEIGHT, WIDTH), np.float32)  # as PP-OCR's own reader pads
    padded[:, : shades.shape[1]] = np.clip(shades, -1, 1)
    return np.repeat(padded[None], 3, axis=0)


def _read(probabilities: Array) -> str:
    """Reads one line [steps, characters] greedily: the best of each step, repeats once, blanks (0) left out (CTC).

    Spaces at the ends are paper, not text; a mark is the same in its full width, as Chinese sets it (Unicode's NFKC).
    """
    read = "".join(_charset()[index] for index, _ in groupby(probabilities.argmax(axis=-1)) if index)
    return normalize("NFKC", read).strip()


@cache
def _charset() -> tuple[str, ...]:
    """Returns what the model's outputs stand for: the blank, the characters of its metadata, the space."""
    import onnx

    package, file = MODEL
    spec = find_spec(package)  # importing it would need all that it uses
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no module named {package!r}", name=package)
    model = onnx.load(Path(spec.origin).parent / file)
    (characters,) = (entry.value for entry in model.metadata_props if entry.key == "character")
    return ("", *characters.splitlines(), " ")


def _edits(text: str, other: str) -> int:
    """Returns how many characters must be put in, taken out or replaced (Levenshtein 1966)."""
    row = list(range(len(other) + 1))
    for up, wanted in enumerate(text, start=1):
        before, row[0] = row[0], up
        for at, got in enumerate(other, start=1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (wanted != got))
    return row[-1]
