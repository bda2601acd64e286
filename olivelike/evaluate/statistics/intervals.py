"""Confidence intervals: of quantiles, of means over blocks, of proportions and of differences between matched ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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


def order_statistic_interval(samples: Sequence[float], share: float, level: float = LEVEL) -> Interval:
    """Returns the distribution-free interval of a quantile, for independent samples.

    Its ends are order statistics whose ranks come from the binomial distribution, with at most half of `1 - level` on
    either side (Hahn & Meeker, Statistical Intervals, 1991, section 5.2). An end that so few samples cannot certify is
    infinite.
    """
    low_rank, high_rank = _ranks(len(samples), share, (1 - level) / 2)
    ordered = [-math.inf, *sorted(samples), math.inf]
    return Interval(quantile(samples, share), ordered[low_rank], ordered[high_rank])


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
    return _exponential(mean_interval([math.log(sample) for sample in samples], level))


def blocked_quantile_interval(blocks: Sequence[Sequence[float]], share: float) -> Interval:
    """Returns a quantile of samples that were taken in blocks, with an interval that does not trust a single block.

    Samples inside a block share what the block happened to get (memory layout, clock frequency, neighbours), so taking all
    of them for independent gives an interval that is too narrow. The blocks are independent: Student's t over the blocks'
    own quantiles (batch means, Law & Kelton, Simulation Modeling and Analysis, section 9.5.3) sees their disagreement. The
    answer spans that interval and the order-statistic interval of all samples together, and always holds the value.
    """
    together = order_statistic_interval([sample for block in blocks for sample in block], share)
    return _spanning(together, mean_interval([quantile(block, share) for block in blocks]))


def blocked_mean_interval(blocks: Sequence[Sequence[float]]) -> Interval:
    """Returns the mean of all samples with Student's t interval over the means of the blocks."""
    value = fmean(sample for block in blocks for sample in block)
    return _spanning(Interval(value, value, value), mean_interval([fmean(block) for block in blocks]))


def median_ratio_interval(upper: Sequence[Sequence[float]], lower: Sequence[Sequence[float]]) -> Interval:
    """Returns the median ratio of samples taken in pairs and blocks: `blocked_quantile_interval` of the logs of the ratios.

    Args:
        upper: positive samples by block, the numerators.
        lower: the denominators; each is the partner of the sample at the same place in `upper`.
    """
    logs = [[math.log(a / b) for a, b in zip(*pair, strict=True)] for pair in zip(upper, lower, strict=True)]
    return _exponential(blocked_quantile_interval(logs, 0.5))


def statistic_ratio_interval(
    upper: Sequence[Sequence[float]], lower: Sequence[Sequence[float]], statistic: Callable[[Sequence[float]], float]
) -> Interval:
    """Returns the ratio of a statistic (a mean, a quantile), its interval by Student's t over the logs of the blocks' ratios.

    Args:
        upper: positive samples by block.
        lower: as many blocks, each measured at the same time as the one at the same place in `upper`.
        statistic: of one block, and for the value itself of all samples.
    """
    logs = [math.log(statistic(a) / statistic(b)) for a, b in zip(upper, lower, strict=True)]
    value = math.log(
        statistic([s for block in upper for s in block]) / statistic([s for block in lower for s in block])
    )
    return _exponential(_spanning(Interval(value, value, value), mean_interval(logs)))


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


def _ranks(n: int, share: float, tail: float) -> tuple[int, int]:
    """Returns the ranks of the two ends, counted from 1; 0 and n + 1 stand for no such sample."""
    import numpy as np
    from scipy.special import bdtr

    below = np.asarray(bdtr(np.arange(n + 1), n, share), dtype=np.float64)  # P(at most k of n lie below the quantile)
    return int(np.searchsorted(below, tail, side="right")), int(np.searchsorted(below, 1 - tail, side="left")) + 1


def _normal_quantile(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


def _spanning(value: Interval, other: Interval) -> Interval:
    return Interval(value.value, min(value.low, other.low), max(value.high, other.high))


def _exponential(interval: Interval) -> Interval:
    return Interval(*(math.exp(end) for end in (interval.value, interval.low, interval.high)))
