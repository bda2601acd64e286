"""Confidence intervals for a sample size settled beforehand: of medians, of proportions and of differences between matched ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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


def matched_difference_interval(gained: float, lost: float, n: float, level: float = LEVEL) -> Interval:
    """Returns the difference of two proportions measured on the same samples: `(gained - lost) / n`.

    The score interval of Tango (1998, Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design): the differences against which the score test does not speak. Its ends err by no more than they
    promise on the side that matters, accepting a loss that is too large, also where few samples disagree; Wald
    intervals with an adjustment err there by a tenth to a fifth more. No disagreement at all does not pretend to certainty.

    Args:
        gained: samples right with the candidate and wrong with the reference.
        lost: samples wrong with the candidate and right with the reference.
        n: all samples.
        level: of confidence.
    """
    z, value = _normal_quantile(level), (gained - lost) / n
    low = _root(lambda difference: _score(gained, lost, n, difference) <= z, -1.0, value)
    high = _root(lambda difference: _score(gained, lost, n, difference) < -z, value, 1.0)
    return Interval(value, min(low, value), max(high, value))


def _score(gained: float, lost: float, n: float, difference: float) -> float:
    """Returns Tango's score statistic of a difference: how many standard errors the one found lies above it."""
    a, b = 2 * n, (2 * n - gained + lost) * difference - gained - lost
    c = -lost * difference * (1 - difference)
    rest = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (
        2 * a
    )  # the likeliest share that was lost, given the difference
    variance = n * (2 * rest + difference * (1 - difference))
    distance = gained - lost - n * difference
    return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance) if distance else 0.0


def _root(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Returns where, between two ends, something begins to hold that holds from there on."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def samples_for_drop(drop: float, changed: float, level: float = LEVEL) -> int:
    """Returns how many samples `matched_difference_interval` takes to show that no more than a drop was lost.

    Args:
        drop: the most that may be lost; above 0.
        changed: the share of samples on which the two models disagree, as often one way as the other.
        level: of confidence.

    Example:
        >>> samples_for_drop(0.01, 0.0), samples_for_drop(0.01, 0.02)
        (381, 913)
    """
    z, low, high = _normal_quantile(level), 1, 1 << 40
    while low < high:
        n = (low + high) // 2
        either = round(changed * n / 2)
        low, high = (low, n) if _score(either, either, n, -drop) >= z else (n + 1, high)
    return low


def samples_to_narrow(interval: Interval, n: int, gap: float, level: float = LEVEL) -> int:
    """Returns how many samples bring an interval of a matched difference to within a gap of its value.

    Answers are taken to go on changing in the proportion in which they did: that is read off the interval's width.

    Args:
        interval: of `n` samples, as `matched_difference_interval` gives it.
        n: how many samples it rests on.
        gap: how near an end must come to the value; above 0.
        level: of confidence.
    """

    def width(changed: float, count: float) -> tuple[float, float]:
        gained, lost = ((changed + sign * interval.value) / 2 * count for sign in (1, -1))
        found = matched_difference_interval(gained, lost, count, level)
        return found.value - found.low, found.high - found.value

    wide = interval.high - interval.low
    changed = _root(lambda share: sum(width(share, n)) >= wide, abs(interval.value), 1.0)
    return math.ceil(_root(lambda count: max(width(changed, count)) <= gap, float(n), 1e9))


def _ranks(n: int, tail: float) -> tuple[int, int]:
    """Returns the ranks of a median's two ends, counted from 1; 0 and n + 1 stand for no such sample."""
    import numpy as np
    from scipy.special import bdtr

    below = np.asarray(bdtr(np.arange(n + 1), n, 0.5), dtype=np.float64)  # P(at most k of n lie below the median)
    return int(np.searchsorted(below, tail, side="right")), int(np.searchsorted(below, 1 - tail, side="left")) + 1


def _normal_quantile(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)
