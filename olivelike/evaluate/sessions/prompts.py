"""Prompts of a settled length for language models: from a metric's data, or drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from olivelike.contracts.data import Dataset
from olivelike.contracts.metric import MeasureContext, Session, TensorInfo
from olivelike.errors import InputError, fail
from olivelike.evaluate.sessions.decoder import MASK, TOKENS

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

Prompts: TypeAlias = tuple[tuple[int, ...], ...]

DRAWN = 8
MOST = 64


def prompts_for(context: MeasureContext, session: Session, length: int, vocabulary: int) -> Prompts:
    """Returns prompts of one length: the beginnings of the data's samples, or seeded random tokens where there are no data.

    Args:
        context: the metric's.
        session: a causal language model.
        length: tokens of a prompt; samples that are shorter are left out.
        vocabulary: how many tokens there are.

    Raises:
        InputError: OL206, no sample is long enough, a token is outside the vocabulary, or the data do not fit the model.
    """
    if not context.has_data:
        return _drawn(length, vocabulary, context.seed)
    samples = [_counted(batch.feeds) for batch in _dataset(context, session).batches(1, MOST)]
    found = tuple(sample[:length] for sample in samples if len(sample) >= length)
    if not found:
        longest = max(map(len, samples), default=0)
        claim = f"no sample of the data has a prompt of {length} tokens; the longest has {longest}"
        raise fail(InputError, "OL206", claim, path="prompt", hint="lower `prompt` or give longer texts")
    _check_known(found, vocabulary)
    return found


def _drawn(length: int, vocabulary: int, seed: int) -> Prompts:
    import numpy as np

    drawn = np.random.default_rng(seed).integers(0, vocabulary, (DRAWN, length))
    return tuple(tuple(map(int, row)) for row in drawn)


def _counted(feeds: Mapping[str, Array]) -> tuple[int, ...]:
    """Returns the tokens of one sample that are not padding."""
    tokens = feeds[TOKENS].reshape(-1)
    counted = tokens[feeds[MASK].reshape(-1).astype(bool)] if MASK in feeds else tokens
    return tuple(map(int, counted))


def _check_known(prompts: Prompts, vocabulary: int) -> None:
    unknown = sorted({token for prompt in prompts for token in prompt if not 0 <= token < vocabulary})
    if unknown:
        claim = f"the data hold the token {unknown[-1]}, and the model knows those from 0 to {vocabulary - 1}"
        raise fail(InputError, "OL206", claim, hint="use the model's own tokenizer")


def _dataset(context: MeasureContext, session: Session) -> Dataset:
    """Opens the metric's data for the tokens and their mask; without a column for the mask all tokens count."""
    tokens = [info for info in session.inputs if info.name == TOKENS]
    masks = [info for info in session.inputs if info.name == MASK]
    try:
        return context.data(_Fed(session, (*tokens, *masks)))
    except InputError as error:
        if not masks or any(problem.path.endswith(f".{MASK}") for problem in error.problems):
            raise
        return context.data(_Fed(session, tuple(tokens)))


@dataclass(frozen=True, slots=True)
class _Fed:
    """A session of which only some inputs are fed by data."""

    session: Session
    inputs: tuple[TensorInfo, ...]

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        return self.session.outputs

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str] = ()) -> dict[str, Array]:
        return self.session.run(feeds, outputs)

    def time(self, feeds: Mapping[str, Array]) -> float:
        return self.session.time(feeds)
