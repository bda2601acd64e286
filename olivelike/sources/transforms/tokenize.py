"""The transform `tokenize`: text to the ids, mask and types that a language model takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

from pydantic import Field

from olivelike.contracts.data import Columns, Pad
from olivelike.contracts.transform import Surroundings, Transform, TransformConfig, Transformed
from olivelike.errors import InputError, fail
from olivelike.sources.batching import is_fixed
from olivelike.sources.ragged import MASK, ragged
from olivelike.sources.transforms.texts import texts_of
from olivelike.sources.transforms.tokenizer import COMPANIONS, Tokenizer, text_column

if TYPE_CHECKING:
    from tokenizers import Encoding

    from olivelike.contracts.data import Array

IDS = "input_ids"
TYPES = "token_type_ids"


class TokenizeConfig(TransformConfig):
    """Options of `tokenize`."""

    text: str = ""
    """The column of the text; without it the only one."""
    pair: str = ""
    """A second text of each sample, which the tokenizer joins to the first."""
    tokenizer: str = ""
    """A `tokenizer.json`; without it the one beside the model."""
    max_length: Annotated[int, Field(ge=0)] = 0
    """Longer samples are cut to so many tokens; 0 cuts none, and refuses what the model cannot take."""


class Tokenize(Transform):
    """Turns a column of text into `input_ids`, `attention_mask` and `token_type_ids`, as far as the model has such inputs.

    Each batch is filled up to its longest sample, or to the length that the model's input fixes; `pad` says otherwise.
    Nothing is cut unless `max_length` says so. Needs the extra `data`.
    """

    config: ClassVar[type[TransformConfig]] = TokenizeConfig
    companions: ClassVar[tuple[str, ...]] = COMPANIONS
    readers: ClassVar[frozenset[str]] = frozenset({"csv", "hf", "jsonl", "parquet", "script"})
    tools: ClassVar[tuple[str, ...]] = ("tokenizers",)

    def files(self, config: TransformConfig) -> tuple[str, ...]:
        """Returns the tokenizer that the options name."""
        named = cast("TokenizeConfig", config).tokenizer
        return (named,) if named else ()

    def applies(self, columns: Columns) -> bool:
        """Whether there is text."""
        return bool(texts_of(columns))

    def open(self, config: TransformConfig, columns: Columns, around: Surroundings) -> Transformed:
        """Opens the tokenizer and finds the text.

        Raises:
            InputError: OL205 (no tokenizer), OL206 (no column of text), OL211 (no package `tokenizers`).
        """
        typed = cast("TokenizeConfig", config)
        tokenizer = Tokenizer.open(typed.tokenizer, around)
        texts = [name for name in texts_of(columns) if name != around.label]
        used = [text_column(typed.text, texts, list(columns.arrays), "text", around.place)]
        if typed.pair:
            used.append(text_column(typed.pair, texts, list(columns.arrays), "pair", around.place))
        inputs = [around.asked.get(info.name, info.name) for info in around.inputs]
        kept = [name for name in columns.arrays if name in {*used, around.label, *inputs} - {IDS, MASK, TYPES}]
        length, fixed = _length(around), _length(around) or "longest"
        pads = {
            IDS: Pad(to=fixed, value=tokenizer.pad, side="left" if tokenizer.side == "left" else "right"),
            TYPES: Pad(to=fixed, side="left" if tokenizer.side == "left" else "right"),
        }
        if typed.max_length:
            tokenizer.cut(typed.max_length)
        each = Tokens(tokenizer, tuple(used), length or tokenizer.longest)
        return Transformed(Columns({name: columns.arrays[name] for name in kept}), each, around.label, pads)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Maps a batch of texts to its tokens, as ragged columns; what else the batch holds stays.

    Attributes:
        tokenizer: the tokenizer.
        texts: the columns of the text and, where there are pairs, of the second text.
        longest: the most tokens that the model takes; 0 where that is not known.
    """

    tokenizer: Tokenizer
    texts: tuple[str, ...]
    longest: int

    def __call__(self, columns: Mapping[str, Array]) -> Mapping[str, Array]:
        """Returns the batch with tokens in place of texts."""
        texts, pairs = columns[self.texts[0]].tolist(), columns[self.texts[-1]].tolist() if self.texts[1:] else ()
        found = self.tokenizer.encode(texts, pairs)
        self._check_length(found)
        made = {
            IDS: ragged([_numbers(encoding.ids) for encoding in found]),
            TYPES: ragged([_numbers(encoding.type_ids) for encoding in found]),
        }
        rest = {name: values for name, values in columns.items() if name not in self.texts}
        return {**made, **rest}

    def _check_length(self, found: Sequence[Encoding]) -> None:
        most = max((len(encoding.ids) for encoding in found), default=0)
        if self.longest and most > self.longest:
            claim = f"a text has {most} tokens, and the model takes at most {self.longest}"
            hint = f"cut with `prepare: {{tokenize: {{max_length: {self.longest}}}}}`"
            raise fail(InputError, "OL206", claim, path=f"{self.tokenizer.place}.prepare", hint=hint)


def _length(around: Surroundings) -> int:
    """Returns the number of tokens that the model's inputs fix, or 0."""
    for info in around.inputs:
        column = around.asked.get(info.name, info.name)
        if column in {IDS, MASK, TYPES} and len(info.shape) == 2 and is_fixed(info.shape[1]):
            return int(info.shape[1])
    return 0


def _numbers(ids: Sequence[int]) -> Array:
    import numpy as np

    return np.array(ids, dtype=np.int64)
