"""A model's tokenizer: text to ids with nothing filled up or cut on the way, and what its folder says of the model's limits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.contracts.extras import need
from olivelike.contracts.transform import Surroundings
from olivelike.errors import InputError, fail

if TYPE_CHECKING:
    from tokenizers import Encoding
    from tokenizers import Tokenizer as Library

TOKENIZER = "tokenizer.json"
SETTINGS = "tokenizer_config.json"
MODEL = "config.json"
COMPANIONS = (TOKENIZER, SETTINGS, MODEL)
NO_LIMIT = 1_000_000
"""Tokenizers without a limit say 10 to the 30th."""


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """A tokenizer, opened.

    Attributes:
        library: of the package `tokenizers`.
        place: the data entry, for messages.
        file: its file, for messages.
        longest: the most tokens that the model takes; 0 where nothing says so.
        vocabulary: the size of the model's embedding; 0 where nothing says so.
        pad: the id that fills up, 0 where it has none.
        side: where it fills up.
    """

    library: Library
    place: str
    file: Path
    longest: int
    vocabulary: int
    pad: int
    side: str

    @classmethod
    def open(cls, named: str, around: Surroundings) -> Tokenizer:
        """Opens the tokenizer that the options name, else the one beside the model.

        Raises:
            InputError: OL205, there is none or it is damaged; OL211, the package `tokenizers` is not installed.
        """
        need("data", "tokenizers", what="turning text into tokens")
        if not named and TOKENIZER not in around.files:
            claim = f"there is no {TOKENIZER} beside the model"
            hint = "name the model's folder instead of its file, or add `tokenizer: FILE` to the transform"
            raise fail(InputError, "OL205", claim, path=f"{around.place}.prepare", hint=hint)
        file = around.files[named or TOKENIZER]
        library = _library(file)
        settings, model = ({} if named else _companion(name, around.files) for name in (SETTINGS, MODEL))
        filling = library.padding or {}
        limits = [settings.get("model_max_length"), model.get("max_position_embeddings")]
        library.no_padding()  # a file may ask for 128 tokens of filling, which would be part of every sample
        library.no_truncation()
        return cls(
            library,
            around.place,
            file,
            min((n for n in limits if isinstance(n, int) and 0 < n <= NO_LIMIT), default=0),
            _whole(model.get("vocab_size")),
            int(filling.get("pad_id", _pad_id(library, settings))),
            str(filling.get("direction", settings.get("padding_side", "right"))),
        )

    def cut(self, length: int) -> None:
        """Has every sample cut to so many tokens from now on, the special ones included.

        Raises:
            InputError: OL206, no token of a text would be left.
        """
        special = self.library.num_special_tokens_to_add(is_pair=False)
        if length <= special:
            claim = f"`max_length: {length}` leaves no room for text beside {special} special tokens"
            raise fail(InputError, "OL206", claim, path=f"{self.place}.prepare", hint="give it more tokens")
        self.library.enable_truncation(length)

    def encode(self, texts: Sequence[object], pairs: Sequence[object] = (), *, special: bool = True) -> list[Encoding]:
        """Returns the tokens of each text, or pair of texts.

        Raises:
            InputError: OL206, a value is no text, or an id is beyond the model's embedding.
        """
        odd = next((value for value in (*texts, *pairs) if not isinstance(value, str)), "")
        if not isinstance(odd, str):
            claim = f"the tokenizer takes text, got {odd!r}"
            hint = "name the column of the text with `text`"
            raise fail(InputError, "OL206", claim, path=f"{self.place}.prepare", hint=hint)
        given = list(zip(texts, pairs, strict=True)) if len(pairs) else list(texts)
        found: list[Encoding] = self.library.encode_batch(given, add_special_tokens=special)
        if self.vocabulary:
            self._check_ids(found)
        return found

    def _check_ids(self, found: Sequence[Encoding]) -> None:
        largest = max((max(encoding.ids, default=0) for encoding in found), default=0)
        if largest >= self.vocabulary:
            claim = f"{self.file.name} gives the id {largest}, and the model's embedding has {self.vocabulary} rows"
            hint = "use the tokenizer that the model was trained with"
            raise fail(InputError, "OL206", claim, path=f"{self.place}.prepare", hint=hint)


def text_column(asked: str, texts: Sequence[str], known: Sequence[str], option: str, place: str) -> str:
    """Returns the column of the text: the one asked for, else the only one.

    Raises:
        InputError: OL206, there is none, it holds no text, or there are several.
    """
    path = f"{place}.prepare"
    if asked in texts:
        return asked
    if asked:
        holds = "holds no text" if asked in known else "is not there"
        claim = f"the column {asked!r} {holds}; columns of text: {', '.join(texts) or 'none'}"
        raise fail(InputError, "OL206", claim, path=path, hint=f"name one with `{option}`")
    if len(texts) != 1:
        claim = f"there is not one column of text but {len(texts)}: {', '.join(texts) or ', '.join(known)}"
        raise fail(InputError, "OL206", claim, path=path, hint=f"name it with `{option}: COLUMN`")
    return texts[0]


def _library(file: Path) -> Library:
    from tokenizers import Tokenizer as Library

    try:
        return Library.from_str(file.read_text(encoding="utf-8"))
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        claim = f"is no tokenizer: {reason}"
        hint = "name a tokenizer.json as the package `tokenizers` writes it"
        raise fail(InputError, "OL205", claim, place=str(file), hint=hint) from error


def _companion(name: str, files: Mapping[str, Path]) -> dict[str, object]:
    if name not in files:
        return {}
    try:
        found = json.loads(files[name].read_text(encoding="utf-8"))
    except ValueError as error:
        claim = f"is no JSON: {error}"
        raise fail(InputError, "OL205", claim, place=str(files[name]), hint="copy the model's folder again") from error
    return found if isinstance(found, dict) else {}


def _pad_id(library: Library, settings: Mapping[str, object]) -> int:
    named = settings.get("pad_token")
    token = named.get("content") if isinstance(named, dict) else named
    found = (library.token_to_id(str(name)) for name in (token, "[PAD]", "<pad>") if name)
    return next((known for known in found if known is not None), 0)


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
