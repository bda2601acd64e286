"""A causal language model that writes token after token, with the cache of what it has read where it takes one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike.contracts.metric import Session, TensorInfo
from olivelike.errors import InputError, fail, nearest
from olivelike.evaluate.sessions.causal_inputs import (
    PAST,
    completed,
    empty_past,
    no_causal_model,
    past_inputs,
    token_input,
)

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

LOGITS = "logits"
PRESENT = ("present", "present_key_values")


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
        state: dict[str, Array] = {}
        wanted = [LOGITS, *self.past.values()]
        while True:
            outputs = self.session.run(self._feeds(unread, read, state), wanted)
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
        return int(self.session.run(self._feeds([0], 0, {}), [LOGITS])[LOGITS].shape[-1])

    def _feeds(self, tokens: Sequence[int], read: int, state: Mapping[str, Array]) -> dict[str, Array]:
        import numpy as np

        return completed(self.session.inputs, np.array([tokens]), np.ones((1, read + len(tokens)), np.int64), state)


def decoder(session: Session) -> Decoder:
    """Returns a loaded model as a decoder.

    Raises:
        InputError: OL206, the model is no causal language model that can write by itself.
    """
    outputs = [info.name for info in session.outputs]
    _check_tokens(token_input(session.inputs))
    if LOGITS not in outputs:
        raise no_causal_model(f"the model has no output {LOGITS!r}; it gives {', '.join(outputs)}")
    taken = past_inputs(session.inputs)
    past = {info.name: _present(info.name, outputs) for info in taken}
    for info in taken:
        empty_past(info)
    return Decoder(session, past)


def _check_tokens(info: TensorInfo) -> None:
    fixed = [size for size in info.shape[1:] if isinstance(size, int)]
    if len(info.shape) != 2 or fixed or (isinstance(info.shape[0], int) and info.shape[0] != 1):
        raise no_causal_model(
            f"the input {info.name!r} of shape {list(info.shape)} does not take one sequence of any length"
        )


def _present(name: str, outputs: Sequence[str]) -> str:
    """Returns the output that gives what an input takes as its past: `present.0.key` for `past_key_values.0.key`."""
    rests = [name.removeprefix(prefix) for prefix in PAST if name.startswith(prefix)]
    candidates = [prefix + rest for prefix in PRESENT for rest in rests]
    for each in candidates:
        if each in outputs:
            return each
    claim = f"the model takes the cache {name!r} and gives no {candidates[0]!r}"
    raise fail(InputError, "OL206", claim, hint=nearest(candidates[0], outputs))
