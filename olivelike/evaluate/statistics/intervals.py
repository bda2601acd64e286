"""Confidence intervals for a sample size settled beforehand: of medians, of proportions and of differences between matched ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from olivelike.contracts.outcome import Interval

LEVEL = 0.95


def quantile(samples: Sequence[float], share: float) -> float:
    """Returns a quantile of some samples, interpolated between neighbours (Hyndman and Fan 1996, definition 7).

    Example:
        >>> quantile([4.0, 1.0, 3.0, 2.0], 0.5)
        2.5
    """
    ordered = sorted(samples)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def median_interval(samples: Sequence[float], level: float = LEVEL) -> Interval:
    """Returns the median with an interval that assumes no distribution, for a number of samples settled beforehand.

    Its ends are order statistics whose ranks come from the binomial distribution, with at most half of `1 - level` on
    either side (Hahn & Meeker, Statistical Intervals, 1991, section 5.2). An end that so few samples cannot certify is
    infinite: for 95 % it takes six.

    Example:
        >>> median_interval([3.0, 1.0, 2.0, 5.0, 4.0, 6.0])
        Interval(value=3.5, low=1.0, high=6.0)
        >>> median_interval([3.0, 1.0, 2.0]).high
        inf
    """
    low_rank, high_rank = _ranks(len(samples), (1 - level) / 2)
    ordered = [-math.inf, *sorted(samples), math.inf]
    return Interval(quantile(samples, 0.5), ordered[low_rank], ordered[high_rank])


def proportion_interval(successes: int, n: int, level: float = LEVEL) -> Interval:
    """Returns a proportion with Wilson's score interval (Wilson 1927; recommended by Brown, Cai & DasGupta 2001).

    Example:
        >>> interval = proportion_interval(81, 263)
        >>> round(interval.low, 4), round(interval.high, 4)
        (0.2553, 0.3662)
    """
    z = _normal_quantile(level)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Interval(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def matched_difference_interval(gained: int, lost: int, n: int, level: float = LEVEL) -> Interval:
    """Returns the difference of two proportions measured on the same samples: `(gained - lost) / n`.

    The Wald interval with the Laplace adjustment of Bonett & Price (2012): one sample is added to either kind of
    disagreement, so that no disagreement at all does not pretend to certainty. Fagerland, Lydersen & Laake (2014,
    Recommended tests and confidence intervals for paired binomial proportions) recommend it for its coverage and simplicity.

    Args:
        gained: samples right with the candidate and wrong with the reference.
        lost: samples wrong with the candidate and right with the reference.
        n: all samples.
        level: of confidence.
    """
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = _normal_quantile(level) * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    value = (gained - lost) / n
    return Interval(value, max(-1.0, min(value, up - down - half)), min(1.0, max(value, up - down + half)))


def _ranks(n: int, tail: float) -> tuple[int, int]:
    """Returns the ranks of a median's two ends, counted from 1; 0 and n + 1 stand for no such sample."""
    import numpy as np
    from scipy.special import bdtr

    below = np.asarray(bdtr(np.arange(n + 1), n, 0.5), dtype=np.float64)  # P(at most k of n lie below the median)
    return int(np.searchsorted(below, tail, side="right")), int(np.searchsorted(below, 1 - tail, side="left")) + 1


def samples_for_drop(drop: float, changed: float, level: float = LEVEL) -> int:
    """Returns how many samples `matched_difference_interval` takes to show that no more than a drop was lost.

    Args:
        drop: the most that may be lost; above 0.
        changed: the share of samples on which the two models disagree, as often one way as the other.
        level: of confidence.

    Example:
        >>> samples_for_drop(0.01, 0.0), samples_for_drop(0.01, 0.02)
        (276, 855)
    """
    low, high = 1, 1 << 40
    while low < high:
        n = (low + high) // 2
        either = (changed * n / 2 + 1) / (n + 2)
        half = _normal_quantile(level) * math.sqrt(2 * either / (n + 2))
        low, high = (low, n) if half <= drop else (n + 1, high)
    return low


def _normal_quantile(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)
