"""Prompts of a settled length for language models: from a metric's data, or drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from olivelike.contracts.metric import MeasureContext, Session
from olivelike.errors import InputError, fail
from olivelike.evaluate.sessions.causal import open_tokens
from olivelike.evaluate.sessions.causal_inputs import MASK, TOKENS

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
    samples = [_counted(batch.feeds) for batch in open_tokens(context, session)[1].batches(1, MOST)]
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
