"""A causal language model fed with tokens alone: mask, positions and an empty past are filled in where it asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike.contracts.data import Dataset
from olivelike.contracts.metric import MeasureContext, Session, TensorInfo
from olivelike.errors import InputError, fail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array

    Tokens = NDArray[np.int64]

TOKENS, MASK, POSITIONS = "input_ids", "attention_mask", "position_ids"
PAST = "past"
CACHE_BRANCH = "use_cache_branch"
"""The input by which a decoder that was exported merged is told whether it has a past (Optimum)."""


@dataclass(frozen=True, slots=True)
class CausalSession:
    """A causal language model whose inputs are tokens and their mask; implements `contracts.metric.Session`.

    Positions count the tokens that are not masked, from 0, as transformers counts them. A past has length 0 in its dynamic
    dimension (`past_key_values.0.key` of shape [batch, heads, past length, width]).

    Attributes:
        session: the loaded model.
        fed: the inputs that data feed.
    """

    session: Session
    fed: tuple[str, ...] = (TOKENS, MASK)

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """The inputs that data feed."""
        return tuple(info for info in self.session.inputs if info.name in self.fed)

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """The model's outputs."""
        return self.session.outputs

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str] = ()) -> dict[str, Array]:
        """Runs the model on tokens `[samples, length]` and, where given, their mask.

        Raises:
            InputError: OL206, the model takes something else as well.
        """
        return self.session.run(self._filled(feeds), outputs)

    def time(self, feeds: Mapping[str, Array]) -> float:
        """Runs the model once and returns the seconds it took, outputs discarded."""
        return self.session.time(self._filled(feeds))

    def _filled(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        import numpy as np

        tokens = feeds[TOKENS]
        mask = np.asarray(feeds.get(MASK, np.ones_like(tokens))).astype(np.int64)
        return {info.name: _value(info, tokens, mask) for info in self.session.inputs}


def open_tokens(context: MeasureContext, session: Session) -> tuple[CausalSession, Dataset]:
    """Returns a causal language model as data feed it, and the metric's data; without a column for the mask all tokens count.

    Raises:
        InputError: OL206, the model takes no `input_ids`, or no column feeds them.
    """
    names = [info.name for info in session.inputs]
    if TOKENS not in names:
        claim = f"the model has no input {TOKENS!r}; it takes {', '.join(names)}"
        raise fail(InputError, "OL206", claim, hint="only causal language models have a perplexity")
    masked = CausalSession(session)
    try:
        return masked, context.data(masked)
    except InputError as error:
        if MASK not in names or any(problem.path.endswith(f".{MASK}") for problem in error.problems):
            raise
        alone = CausalSession(session, (TOKENS,))
        return alone, context.data(alone)


def _value(info: TensorInfo, tokens: Array, mask: Tokens) -> Array:
    import numpy as np

    match info.name:
        case "input_ids":
            value = tokens
        case "attention_mask":
            value = mask
        case "position_ids":
            value = np.maximum(mask.cumsum(axis=1) - 1, 0)
        case "use_cache_branch":
            value = np.zeros(1)
        case name if name.startswith(PAST):
            value = np.zeros(_empty_shape(info, len(tokens)))
        case name:
            claim = f"the model takes {name!r}, which is neither tokens, mask, positions nor a past"
            raise fail(InputError, "OL206", claim, hint="export the model as a causal language model")
    return value.astype(info.dtype)


def _empty_shape(info: TensorInfo, batch: int) -> tuple[int, ...]:
    """Returns the shape of a past without tokens: the dynamic dimension named after the past, else the third, is 0."""
    named = [place for place, size in enumerate(info.shape) if isinstance(size, str) and "past" in size]
    third = [2] if len(info.shape) > 2 and isinstance(info.shape[2], str) else []
    empty = (named or third)[:1]
    shape = [size if isinstance(size, int) else batch for size in info.shape[:1]]
    shape += [0 if place in empty else size if isinstance(size, int) else -1 for place, size in _rest(info)]
    if not empty or -1 in shape:
        claim = f"the model's input {info.name!r} of shape {list(info.shape)} cannot be left empty"
        raise fail(InputError, "OL206", claim, hint="export the model without a past, or with a dynamic one")
    return tuple(0 if place in empty else size for place, size in enumerate(shape))


def _rest(info: TensorInfo) -> list[tuple[int, int | str]]:
    return list(enumerate(info.shape))[1:]
