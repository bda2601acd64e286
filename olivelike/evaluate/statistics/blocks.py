"""Samples that were taken in blocks: intervals that trust no single block, and hold whenever sampling stops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from olivelike.contracts.outcome import Interval
from olivelike.evaluate.statistics.intervals import LEVEL, quantile
from olivelike.evaluate.statistics.sequences import quantile_sequence

Blocks: TypeAlias = Sequence[Sequence[float]]
"""Positive samples by block."""

FEWEST_BLOCKS = 8
"""With fewer, no interval of 95 % is finite (`sequences.quantile_sequence`)."""


def blocked_quantile(blocks: Blocks, share: float, level: float = LEVEL) -> Interval:
    """Returns a quantile of all samples, with an interval that holds at every number of blocks at once.

    Samples inside a block share what the block happened to get (memory layout, clock frequency, neighbours), so taking all
    of them for independent gives an interval that is too narrow. The blocks are independent: the confidence sequence for the
    median of the blocks' own quantiles sees their disagreement. The answer spans that one and the confidence sequence of
    all samples together.
    """
    together = quantile_sequence([sample for block in blocks for sample in block], share, level)
    return _spanning(together, _typical([quantile(block, share) for block in blocks], level))


def blocked_median_ratio(upper: Blocks, lower: Blocks, level: float = LEVEL) -> Interval:
    """Returns the median ratio of samples taken in pairs: `blocked_quantile` of the logs of the ratios.

    Args:
        upper: the numerators.
        lower: the denominators; each is the partner of the sample at the same place in `upper`.
        level: of confidence, for all numbers of blocks together.
    """
    logs = [[math.log(a / b) for a, b in zip(*pair, strict=True)] for pair in zip(upper, lower, strict=True)]
    return _exponential(blocked_quantile(logs, 0.5, level))


def blocked_quantile_ratio(upper: Blocks, lower: Blocks, share: float, level: float = LEVEL) -> Interval:
    """Returns the ratio of a quantile of two sets of samples: of the median by pairs, of any other the quotient of the two.

    Pairs say nothing of tails: the slowest runs of two models are not neighbours. So the quotient's ends are those of the two
    quantiles' own intervals, each at half the error rate (Bonferroni). That is wide, and assumes nothing of the tails; a
    ratio taken block by block would not see what happens in fewer than half of the blocks.

    Args:
        upper: the numerators.
        lower: as many blocks, each taken at the same time as the one at the same place in `upper`.
        share: which quantile.
        level: of confidence, for all numbers of blocks together.
    """
    if share == 0.5:
        return blocked_median_ratio(upper, lower, level)
    above, below = (blocked_quantile(blocks, share, (1 + level) / 2) for blocks in (upper, lower))
    low = above.low / below.high if below.high < math.inf else 0.0
    high = above.high / below.low if below.low > 0 else math.inf
    return Interval(above.value / below.value, max(low, 0.0), high)


def _typical(each: Sequence[float], level: float) -> Interval:
    return quantile_sequence(each, 0.5, level)


def _spanning(value: Interval, other: Interval) -> Interval:
    return Interval(value.value, min(value.low, other.low), max(value.high, other.high))


def _exponential(interval: Interval) -> Interval:
    return Interval(*(math.exp(min(end, 700.0)) for end in (interval.value, interval.low, interval.high)))
