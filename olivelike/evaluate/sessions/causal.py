"""A causal language model that data feed with tokens alone, and those data: what else it takes is filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike.contracts.data import Dataset
from olivelike.contracts.metric import MeasureContext, Session, TensorInfo
from olivelike.errors import InputError
from olivelike.evaluate.sessions.causal_inputs import MASK, TOKENS, completed, past_inputs, token_input

if TYPE_CHECKING:
    from olivelike.contracts.data import Array


@dataclass(frozen=True, slots=True)
class CausalSession:
    """A causal language model whose inputs are tokens and their mask; implements `contracts.metric.Session`.

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
        """Runs the model on tokens `[samples, length]` and, where given, their mask; the past is empty."""
        return self.session.run(self._filled(feeds), outputs)

    def time(self, feeds: Mapping[str, Array]) -> float:
        """Runs the model once and returns the seconds it took, outputs discarded."""
        return self.session.time(self._filled(feeds))

    def _filled(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        import numpy as np

        tokens = feeds[TOKENS]
        return completed(self.session.inputs, tokens, feeds.get(MASK, np.ones_like(tokens)))


def open_tokens(context: MeasureContext, session: Session) -> tuple[CausalSession, Dataset]:
    """Returns a causal language model as data feed it, and the metric's data; without a column for the mask all tokens count.

    Raises:
        InputError: OL206, the model is no causal language model, or no column feeds its tokens.
    """
    token_input(session.inputs)
    past_inputs(session.inputs)
    masked = CausalSession(session)
    try:
        return masked, context.data(masked)
    except InputError as error:
        takes_one = any(info.name == MASK for info in session.inputs)
        if not takes_one or any(problem.path.endswith(f".{MASK}") for problem in error.problems):
            raise
        alone = CausalSession(session, (TOKENS,))
        return alone, context.data(alone)
