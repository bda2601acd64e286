"""The case `ocr`: PP-OCRv4's recogniser of lines, on lines that the second tutorial's script draws.

pip install -e '.[images]' && pip install --no-deps rapidocr-onnxruntime==1.4.4
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cases.case import ROOT, Case, Prepared, at_least_faster, drops_at_most, packaged, require

if TYPE_CHECKING:
    from olivelike.digest import Json

INSTALL = "pip install -e '.[images]' && pip install --no-deps rapidocr-onnxruntime==1.4.4"
SCRIPT = str(ROOT / "workflows" / "ocr" / "user.py")
MODEL = "models/ch_PP-OCRv4_rec_infer.onnx"


def prepare(room: Path) -> Prepared:
    """Names the package's model and the script that draws lines."""
    del room
    require(INSTALL, "PIL")
    packaged("rapidocr_onnxruntime", MODEL, INSTALL)
    return Prepared(
        model={"package": f"rapidocr_onnxruntime/{MODEL}", "revision": "1.4.4"},
        data={
            "calibration": {**_lines(1, 48), "use": ["calibration"]},
            "test": {**_lines(2, 800), "use": ["selection"]},
        },
        metrics={
            "characters": {
                "type": "script",
                "data": "test",
                "score": {"script": SCRIPT, "call": "characters"},
                "values": ["accuracy"],
                "batch": 8,
            },
            "latency": {"type": "latency", "data": "test", "batch": 1},
        },
        constraints=({"metric": "characters.accuracy", "max_drop": 0.005},),
        objectives=({"minimize": "latency.p50"},),
    )


def _lines(seed: int, count: int) -> dict[str, Json]:
    return {"script": SCRIPT, "call": "lines", "args": {"seed": seed, "count": count}, "labels": "label"}


CASE = Case(
    name="ocr",
    told="PP-OCRv4's text recogniser, one line",
    prepare=prepare,
    quality="characters.accuracy",
    speed="latency.p50",
    by_hand="opset 17, static int8 per channel: .9938 (from .9935), 1.8 x faster",
    goals=(at_least_faster("latency.p50", 1.5), drops_at_most("characters.accuracy", 0.005)),
)
