"""A causal language model that writes token after token, with the cache of what it has read where it takes one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike.contracts.metric import Session, TensorInfo
from olivelike.errors import InputError, OlivelikeError, fail, nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array

    Tokens = NDArray[np.int64]

TOKENS, MASK, POSITIONS = "input_ids", "attention_mask", "position_ids"
CACHE_BRANCH = "use_cache_branch"
"""The input by which a decoder that was exported merged is told whether it has a past (Optimum)."""
LOGITS = "logits"
PAST, PRESENT = ("past_key_values", "past"), ("present", "present_key_values")
INTEGERS = ("int64", "int32")


@dataclass(frozen=True, slots=True)
class Decoder:
    """A loaded causal language model, one sequence at a time.

    Attributes:
        session: the loaded model.
        past: of each input that takes the cache, the output that gives it; empty where the model takes none.
    """

    session: Session
    past: Mapping[str, str]

    @property
    def is_cached(self) -> bool:
        """Whether what was read is kept; otherwise the whole sequence is read again for each token."""
        return bool(self.past)

    def tokens(self, prompt: Sequence[int]) -> Iterator[int]:
        """Yields the likeliest next token, again and again, one run of the model for each; an end of text ends nothing.

        Args:
            prompt: the tokens to begin with, at least one.

        Raises:
            MeasureError: OL504, the model cannot be run.
        """
        import numpy as np

        read = 0
        unread = list(prompt)
        state: dict[str, Array] = {name: empty_past(self._info(name)) for name in self.past}
        wanted = [LOGITS, *self.past.values()]
        while True:
            outputs = self.session.run({**self._feeds(unread, read), **state}, wanted)
            logits = outputs[LOGITS]
            token = int(np.argmax(logits.reshape(-1, logits.shape[-1])[-1]))
            yield token
            if self.is_cached:
                read += len(unread)
                unread = [token]
                state = {name: outputs[present] for name, present in self.past.items()}
            else:
                unread.append(token)

    def vocabulary(self) -> int:
        """Returns how many tokens the model tells apart: the logits' last dimension."""
        size = next(info for info in self.session.outputs if info.name == LOGITS).shape[-1:]
        if size and isinstance(size[0], int):
            return size[0]
        empty = {name: empty_past(self._info(name)) for name in self.past}
        return int(self.session.run({**self._feeds([0], 0), **empty}, [LOGITS])[LOGITS].shape[-1])

    def _feeds(self, tokens: Sequence[int], read: int) -> dict[str, Array]:
        import numpy as np

        known: dict[str, Array] = {
            TOKENS: np.array([tokens]),
            MASK: np.ones((1, read + len(tokens))),
            POSITIONS: np.arange(read, read + len(tokens))[None],
            CACHE_BRANCH: np.array([read > 0]),
        }
        own = (info for info in self.session.inputs if info.name not in self.past)
        return {info.name: known[info.name].astype(info.dtype) for info in own}

    def _info(self, name: str) -> TensorInfo:
        return next(info for info in self.session.inputs if info.name == name)


def decoder(session: Session) -> Decoder:
    """Returns a loaded model as a decoder.

    Raises:
        InputError: OL206, the model is no causal language model that can write by itself.
    """
    inputs = {info.name: info for info in session.inputs}
    outputs = [info.name for info in session.outputs]
    if TOKENS not in inputs or inputs[TOKENS].dtype not in INTEGERS:
        listed = ", ".join(f"{info.name} ({info.dtype})" for info in session.inputs)
        raise _refused(f"the model has no input {TOKENS!r} of whole numbers; it takes {listed}")
    _check_tokens(inputs[TOKENS])
    if LOGITS not in outputs:
        raise _refused(f"the model has no output {LOGITS!r}; it gives {', '.join(outputs)}")
    own = {TOKENS, MASK, POSITIONS, CACHE_BRANCH}
    past = {name: _present(name, outputs) for name in inputs if name not in own}
    for name in past:
        empty_past(inputs[name])
    return Decoder(session, past)


def empty_past(info: TensorInfo) -> Array:
    """Returns a cache without tokens, in the type that the model takes it.

    Its length is 0 in the dynamic dimension that is named after the past or the sequence, else in the third
    (`past_key_values.0.key` of shape [batch, heads, past length, width]); a dynamic first dimension is the batch.

    Raises:
        InputError: OL206, more than that is open in its shape, its length is fixed, or numpy has no such type.
    """
    import numpy as np

    dynamic = [place for place, size in enumerate(info.shape) if isinstance(size, str)]
    named = [place for place in dynamic if "past" in str(info.shape[place]) or "seq" in str(info.shape[place])]
    length = next(iter([*named, *(place for place in dynamic if place == 2)]), -1)
    sizes = [0 if place == length else size if isinstance(size, int) else 1 for place, size in enumerate(info.shape)]
    if length < 0 or not set(dynamic) <= {0, length} or info.dtype not in {"float16", "float32", "float64", "int8"}:
        raise _refused(
            f"the cache {info.name!r} of type {info.dtype} and shape {list(info.shape)} cannot be left empty"
        )
    return np.zeros(sizes, info.dtype)


def _check_tokens(info: TensorInfo) -> None:
    fixed = [size for size in info.shape[1:] if isinstance(size, int)]
    if len(info.shape) != 2 or fixed or (isinstance(info.shape[0], int) and info.shape[0] != 1):
        raise _refused(f"the input {info.name!r} of shape {list(info.shape)} does not take one sequence of any length")


def _present(name: str, outputs: Sequence[str]) -> str:
    """Returns the output that gives what an input takes as its past: `present.0.key` for `past_key_values.0.key`."""
    rests = [name.removeprefix(prefix) for prefix in PAST if name.startswith(prefix)]
    if not rests:
        raise _refused(f"the model takes {name!r}, which is neither tokens, mask, positions nor a past")
    candidates = [prefix + rest for prefix in PRESENT for rest in rests]
    for each in candidates:
        if each in outputs:
            return each
    claim = f"the model takes the cache {name!r} and gives no {candidates[0]!r}"
    raise fail(InputError, "OL206", claim, hint=nearest(candidates[0], outputs))


def _refused(claim: str) -> OlivelikeError:
    hint = "export the model as a causal language model, with dynamic lengths of the sequence and the past"
    return fail(InputError, "OL206", claim, hint=hint)
