"""The transform `causal_lm`: a corpus as blocks of equally many tokens, which are their own labels."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

from pydantic import Field

from olivelike.contracts.data import Column, Columns
from olivelike.contracts.metric import TensorInfo
from olivelike.contracts.transform import Surroundings, Transform, TransformConfig, Transformed
from olivelike.errors import InputError, fail
from olivelike.sources.batching import is_fixed
from olivelike.sources.ragged import MASK
from olivelike.sources.transforms.texts import texts_of
from olivelike.sources.transforms.tokenizer import COMPANIONS, Tokenizer, text_column

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array

IDS = "input_ids"
POSITIONS = "position_ids"
LABELS = "labels"
PAST = "past_key_values."
USUAL_BLOCK = 512
AT_ONCE = 64
"""Texts that are tokenized together while their tokens are counted."""


class CausalLmConfig(TransformConfig):
    """Options of `causal_lm`."""

    text: str = ""
    """The column of the text; without it the only one."""
    tokenizer: str = ""
    """A `tokenizer.json`; without it the one beside the model."""
    block: Annotated[int, Field(ge=0)] = 0
    """Tokens in a block; 0 takes the length that the model's input fixes, else 512 or the most that the model takes."""
    special_tokens: bool = True
    """Whether each text has the special tokens that the tokenizer adds (a beginning of text)."""


class CausalLm(Transform):
    """Joins the tokens of all texts, in their order, and cuts them into blocks: each is a sample and its own labels.

    The rest behind the last whole block is left out. `labels` are the ids themselves: what comes next is the label one
    place further on. The model also gets `attention_mask` (all ones), `position_ids` (0, 1, ...) and empty
    `past_key_values.*` where it has such inputs. Texts are tokenized once to count their tokens and again when their block
    is drawn, so that memory does not grow with the corpus. Needs the extra `data`.
    """

    config: ClassVar[type[TransformConfig]] = CausalLmConfig
    companions: ClassVar[tuple[str, ...]] = COMPANIONS
    readers: ClassVar[frozenset[str]] = frozenset({"csv", "hf", "jsonl", "parquet", "script"})
    tools: ClassVar[tuple[str, ...]] = ("tokenizers",)
    brings_labels: ClassVar[bool] = True
    counts_samples: ClassVar[bool] = False

    def files(self, config: TransformConfig) -> tuple[str, ...]:
        """Returns the tokenizer that the options name."""
        named = cast("CausalLmConfig", config).tokenizer
        return (named,) if named else ()

    def applies(self, columns: Columns) -> bool:
        """Whether there is text."""
        return bool(texts_of(columns))

    def open(self, config: TransformConfig, columns: Columns, around: Surroundings) -> Transformed:
        """Counts the tokens of the texts, as far as they are needed.

        Raises:
            InputError: OL205 (no tokenizer), OL206 (no column of text, fewer tokens than one block), OL211.
        """
        typed = cast("CausalLmConfig", config)
        tokenizer = Tokenizer.open(typed.tokenizer, around)
        name = text_column(typed.text, texts_of(columns), list(columns.arrays), "text", around.place)
        block = typed.block or _fixed(around.inputs) or min(USUAL_BLOCK, tokenizer.longest or USUAL_BLOCK)
        if tokenizer.longest and block > tokenizer.longest:
            claim = f"blocks of {block} tokens, and the model takes at most {tokenizer.longest}"
            path = f"{around.place}.prepare.causal_lm.block"
            raise fail(InputError, "OL206", claim, path=path, hint="make them shorter")
        corpus = Corpus(columns.arrays[name], tokenizer, typed.special_tokens)
        tokens = corpus.counted(around.most * block)
        if tokens < block:
            claim = f"the column {name!r} has {tokens} tokens, less than one block of {block}"
            raise fail(InputError, "OL206", claim, path=around.place, hint="give more text, or a smaller `block`")
        blocks = Blocks(corpus, block, tokens // block)
        return Transformed(Columns({IDS: blocks}), Inputs(tuple(around.inputs)), LABELS)


@dataclass(slots=True)
class Corpus:
    """Texts as one sequence of tokens.

    Attributes:
        texts: the column.
        tokenizer: the tokenizer.
        special: whether each text has the tokenizer's special tokens.
        ends: where each text's tokens end in the sequence, as far as they were counted.
        last: the number and the tokens of the text read last, which the next block often goes on with.
    """

    texts: Column
    tokenizer: Tokenizer
    special: bool
    ends: array[int] = field(default_factory=lambda: array("q"))
    last: tuple[int, Array | tuple[()]] = (-1, ())

    def counted(self, most: int) -> int:
        """Counts the tokens of all texts, or of the first ones that have so many; returns how many there are."""
        import numpy as np

        total = 0
        for start in range(0, len(self.texts), AT_ONCE):
            rows = np.arange(start, min(start + AT_ONCE, len(self.texts)))
            for encoding in self.tokenizer.encode(self.texts[rows].tolist(), special=self.special):
                total += len(encoding.ids)
                self.ends.append(total)
            if most and total >= most:
                return min(total, most)
        return total

    def between(self, start: int, end: int) -> Array:
        """Returns the tokens from one position in the sequence to another."""
        import numpy as np

        text, parts, at = bisect_right(self.ends, start), [], start
        while at < end:
            first = self.ends[text - 1] if text else 0
            piece = self._tokens(text)[at - first : end - first]
            parts.append(piece)
            at, text = at + len(piece), text + 1
        return np.concatenate(parts)

    def _tokens(self, text: int) -> Array:
        import numpy as np

        if self.last[0] != text:
            (encoding,) = self.tokenizer.encode(self.texts[np.array([text])].tolist(), special=self.special)
            self.last = (text, np.array(encoding.ids, dtype=np.int64))
        return cast("Array", self.last[1])


@dataclass(frozen=True, slots=True)
class Blocks:
    """A column of blocks of tokens; implements `contracts.data.Column`."""

    corpus: Corpus
    block: int
    count: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Blocks, tokens in each."""
        return (self.count, self.block)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Whole numbers."""
        import numpy as np

        return np.dtype(np.int64)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, rows: NDArray[np.intp], /) -> Array:
        import numpy as np

        found = [self.corpus.between(row * self.block, (row + 1) * self.block) for row in rows.tolist()]
        return np.stack(found) if found else np.empty((0, self.block), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Adds to a batch of blocks what else a causal language model takes, and the labels."""

    inputs: tuple[TensorInfo, ...]

    def __call__(self, columns: Mapping[str, Array]) -> Mapping[str, Array]:
        """Returns the batch with what the model takes beside the ids, and the labels."""
        import numpy as np

        ids = columns[IDS]
        positions = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
        made = {IDS: ids, LABELS: ids, MASK: np.ones_like(ids), POSITIONS: positions}
        return made | {info.name: _empty(info, len(ids)) for info in self.inputs if info.name.startswith(PAST)}


def _empty(info: TensorInfo, count: int) -> Array:
    import numpy as np

    sizes = [size if is_fixed(size) else 0 for size in info.shape[1:]]
    return np.zeros((count, *cast("list[int]", sizes)), dtype=np.float16 if info.dtype == "float16" else np.float32)


def _fixed(inputs: Sequence[TensorInfo]) -> int:
    for info in inputs:
        if info.name == IDS and len(info.shape) == 2 and is_fixed(info.shape[1]):
            return int(info.shape[1])
    return 0
