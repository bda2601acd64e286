"""What logits say of the next tokens: sums over each sequence, from which perplexity, divergence and agreement follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array

    Floats = NDArray[np.float64]

COUNT, NLL, OTHER_NLL, KL, SAME = range(5)
"""The columns: predicted tokens; negative log-likelihood of the candidate and of the baseline, divergence, agreements."""
AT_ONCE = 64
"""Positions whose distributions are held in float64 at a time: bounded memory whatever the length of a sequence."""


def sequence_sums(tokens: Array, mask: Array, own: Array, other: Array) -> Floats:
    """Returns the sums over the predicted tokens of each sequence.

    A token is predicted by the logits one position before it; both must be unmasked.

    Args:
        tokens: `[samples, length]`.
        mask: of the same shape, 0 where there is padding.
        own: the candidate's logits, `[samples, length, vocabulary]`.
        other: the baseline's, of the same shape; the candidate's own where nothing is compared.

    Returns:
        `[samples, 5]`: how many tokens, their negative log-likelihood in nats by the candidate, by the baseline, the
        Kullback-Leibler divergence of the candidate's from the baseline's distributions in nats, and at how many positions
        both find the same token the most likely.
    """
    import numpy as np

    sums = np.zeros((len(tokens), 5))
    real = mask.astype(np.bool_)
    for row in range(len(tokens)):
        places = np.flatnonzero(real[row, :-1] & real[row, 1:])
        for start in range(0, len(places), AT_ONCE):
            at = places[start : start + AT_ONCE]
            sums[row] += _sums(tokens[row, at + 1].astype(np.int64), own[row, at], other[row, at])
    return sums


def _sums(wanted: NDArray[np.int64], own: Array, other: Array) -> Floats:
    import numpy as np

    ours = _log_softmax(own)
    theirs = ours if other is own else _log_softmax(other)
    chosen = np.arange(len(wanted)), wanted
    # Of equal distributions the divergence is zero, and rounding must not take it below.
    divergence = np.maximum((np.exp(theirs) * (theirs - ours)).sum(axis=1), 0.0)
    same = ours.argmax(axis=1) == theirs.argmax(axis=1)
    return np.array([len(wanted), -ours[chosen].sum(), -theirs[chosen].sum(), divergence.sum(), same.sum()])


def _log_softmax(logits: Array) -> Floats:
    """Returns the logarithms of probabilities, in float64; the largest logit is taken off, so that nothing overflows."""
    import numpy as np

    shifted: Floats = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted
