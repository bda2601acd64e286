"""Confidence intervals for a sample size settled beforehand: of means, of proportions and of differences between matched ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev

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


def mean_interval(samples: Sequence[float], level: float = LEVEL) -> Interval:
    """Returns the mean with Student's t interval; infinite for a single sample.

    Example:
        >>> interval = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])
        >>> round(interval.low, 3), round(interval.high, 3)
        (1.037, 4.963)
    """
    from scipy.special import stdtrit

    mean = fmean(samples)
    if len(samples) < 2:
        return Interval(mean, -math.inf, math.inf)
    half = float(stdtrit(len(samples) - 1, (1 + level) / 2)) * stdev(samples) / math.sqrt(len(samples))
    return Interval(mean, mean - half, mean + half)


def geometric_mean_interval(samples: Sequence[float], level: float = LEVEL) -> Interval:
    """Returns the geometric mean of positive samples: `mean_interval` of their logs. It is how ratios are averaged.

    Example:
        >>> interval = geometric_mean_interval([0.5, 2.0, 1.0])
        >>> round(interval.value, 6), interval.low < 0.5 < 2.0 < interval.high
        (1.0, True)
    """
    logs = mean_interval([math.log(sample) for sample in samples], level)
    return Interval(*(math.exp(end) for end in (logs.value, logs.low, logs.high)))


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
