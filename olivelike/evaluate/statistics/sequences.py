"""Confidence sequences: intervals that hold at every sample size at once, so that sampling may stop when they decide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from olivelike.contracts.outcome import Interval
from olivelike.evaluate.statistics.intervals import LEVEL, quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GRID = 24
REFINEMENTS = 3
"""Each narrows an end to the next point of a grid between it and the mean, so ends are good to about a percent of the width."""
MOST_BET = 0.5


def quantile_sequence(samples: Sequence[float], share: float, level: float = LEVEL) -> Interval:
    """Returns a quantile, with an interval that holds at every sample size at once and assumes no distribution.

    Whether a sample lies below a number that is the true quantile is a coin with the chance `share`. The likelihood ratio
    of a beta mixture of coins against that one is a test martingale; numbers against which it reaches `1 / (1 - level)` are
    ruled out (Darling & Robbins 1967, Confidence sequences for mean, variance, and median; Howard & Ramdas 2022, Sequential
    estimation of quantiles with applications to A/B testing). The ends are samples; an end that so few samples cannot give
    is infinite: for a median at 95 % it takes eight.

    Args:
        samples: independent.
        share: which quantile, above 0 and below 1; 0.5 is the median.
        level: of confidence, for all sample sizes together.

    Example:
        >>> interval = quantile_sequence([3.0, 1.0, 2.0, 5.0, 4.0, 8.0, 6.0, 7.0], 0.5)
        >>> interval.low, interval.value, interval.high
        (1.0, 4.5, 8.0)
        >>> quantile_sequence([3.0, 1.0, 2.0], 0.5).high
        inf
    """
    low_rank, high_rank = _ranks(len(samples), share, 1 - level)
    ordered = [-math.inf, *sorted(samples), math.inf]
    value = quantile(samples, share)
    return Interval(value, min(ordered[low_rank], value), max(ordered[high_rank], value))


@cache
def _ranks(n: int, share: float, alpha: float) -> tuple[int, int]:
    """Returns the ranks of the two ends, counted from 1; 0 and n + 1 stand for no such sample."""
    import numpy as np
    from scipy.special import betaln

    weight = max(2.0, 1 / share, 1 / (1 - share))
    a, b = share * weight, (1 - share) * weight
    below = np.arange(n + 1)  # how many samples lie below the number in question
    log_ratio = (
        betaln(a + below, b + n - below) - betaln(a, b) - below * math.log(share) - (n - below) * math.log1p(-share)
    )
    left = np.flatnonzero(log_ratio < -math.log(alpha))  # so many below is no surprise; never empty, and without gaps
    # A number between the samples of rank k and k + 1 has k below it: the interval reaches from rank k_first to k_last + 1.
    return int(left[0]), int(left[-1]) + 1


def bounded_mean_sequence(samples: Sequence[float], low: float, high: float, level: float = LEVEL) -> Interval:
    """Returns the mean of bounded samples, with an interval that holds at every sample size at once.

    Betting (Waudby-Smith & Ramdas 2024, Estimating means of bounded random variables by betting, section 4.4): for each
    possible mean two gamblers bet against it, one that the true mean is higher, one that it is lower; the hedged capital
    is a test martingale, and the means against which it never reaches `1 / (1 - level)` form the interval. The bets are
    the predictable plug-in of that paper. Nothing is assumed but the bounds and that the mean, given the past, stays the same.
    Where the samples' own mean is ruled out, that does not hold (samples sorted by class drift), nothing can be said, and the
    ends are the bounds.

    Args:
        samples: in the order in which they were drawn.
        low: the least value a sample can have.
        high: the largest.
        level: of confidence, for all sample sizes together.

    Example:
        >>> interval = bounded_mean_sequence([0.0, 1.0] * 500, 0.0, 1.0)
        >>> interval.value, 0.4 < interval.low < 0.5 < interval.high < 0.6
        (0.5, True)
    """
    import numpy as np

    scaled = (np.asarray(samples, dtype=np.float64) - low) / (high - low)
    mean, bets = float(scaled.mean()), _bets(scaled, 1 - level)
    if _best_capital(scaled, bets, np.array([mean]))[0] >= math.log(1 / (1 - level)):
        return Interval(low + mean * (high - low), low, high)
    ends = (_end(scaled, bets, mean, outer, 1 - level) for outer in (0.0, mean, 1.0))
    first, value, last = (low + end * (high - low) for end in ends)
    return Interval(value, first, last)


def _end(scaled: NDArray[np.float64], bets: NDArray[np.float64], mean: float, outer: float, alpha: float) -> float:
    """Returns the first mean between the samples' own and an outer one that is ruled out; the outer one where none is."""
    import numpy as np

    end = outer
    for _ in range(REFINEMENTS):
        means = np.linspace(mean, end, GRID)
        out = _best_capital(scaled, bets, means) >= math.log(1 / alpha)
        end = float(means[int(out.argmax())]) if out.any() else end
    return end


def _best_capital(
    scaled: NDArray[np.float64], bets: NDArray[np.float64], means: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns the log of the largest hedged capital so far against each mean, shape of `means`."""
    import numpy as np

    best = np.full(len(means), -np.inf)
    up, down = np.zeros(len(means)), np.zeros(len(means))
    for start in range(0, len(scaled), 256):
        block = slice(start, start + 256)
        gain = scaled[block, None] - means[None, :]
        with np.errstate(divide="ignore"):
            highest = np.minimum(bets[block, None], MOST_BET / means[None, :])
            lowest = np.minimum(bets[block, None], MOST_BET / (1 - means[None, :]))
        ups = up + np.cumsum(np.log1p(highest * gain), axis=0)
        downs = down + np.cumsum(np.log1p(-lowest * gain), axis=0)
        best = np.maximum(best, np.logaddexp(ups, downs).max(axis=0) - math.log(2))
        up, down = ups[-1], downs[-1]
    return best


def _bets(scaled: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """Returns the size of each bet, made before the sample is seen (equation 26 of the paper, each gambler at half of alpha)."""
    import numpy as np

    counts = np.arange(1, len(scaled) + 1)
    means = (0.5 + np.cumsum(scaled)) / (counts + 1)
    variances = (0.25 + np.cumsum((scaled - means) ** 2)) / (counts + 1)
    before = np.concatenate([[0.25], variances[:-1]])
    return np.sqrt(2 * math.log(2 / alpha) / (before * counts * np.log(counts + 1)))
