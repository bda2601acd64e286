"""Values of a whole corpus (ratios of sums, BLEU): the paired bootstrap, and where samples agree, what so many could miss."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from olivelike.contracts.outcome import Interval, Measurement, Paired, Undefined, Value
from olivelike.evaluate.statistics.bootstrap import Rows, Statistic, bootstrapped
from olivelike.evaluate.statistics.intervals import LEVEL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.outcome import Better

Extremes: TypeAlias = Callable[["NDArray[np.intp]"], tuple[Rows, Rows]]
"""From samples to imitate to rows of as many made-up ones: those that a model gets wholly right, and wholly wrong."""

IMITATED = 64
ROUNDING = 1e-12
"""An interval that is narrower than this, relative to the value, is a point: what is left is the order of additions."""


def corpus_value(
    statistic: Statistic,
    own: Rows,
    other: Rows,
    extremes: Extremes,
    *,
    better: Better,
    seed: int,
    unit: str = "1",
    undefined: str = "",
    level: float = LEVEL,
) -> Value:
    """Returns a statistic of the candidate's rows with its interval, and its difference to the baseline's; none is a point.

    Intervals are those of `bootstrap.bootstrapped`. Where all samples agree (no error anywhere, or both models made the same
    of each) drawing them anew shows no spread. Then the rule of three bounds what they could have missed (Hanley &
    Lippman-Hand 1983, If nothing goes wrong, is everything all right?): of which `n` samples show none, at most a share of
    `1 - ((1 - level) / 2) ** (1 / n)` of all samples is, about 3.7 in n at 95 %. Each end of the interval is the value
    if so many were otherwise, as far as can be: wholly right, or wholly wrong.

    Args:
        statistic: of rows.
        own: the candidate's.
        other: the baseline's, of the same samples in the same order; empty where nothing is compared.
        extremes: makes up samples.
        better: which direction is better.
        seed: of the resampling, and of the samples that are imitated.
        unit: of the value.
        undefined: why the statistic can be undefined on some data, for the reader.
        level: of confidence.
    """
    import numpy as np

    found = bootstrapped(statistic, own, other, better=better, seed=seed, unit=unit, undefined=undefined, level=level)
    if isinstance(found, Undefined):
        return found
    scale = max(abs(found.low), abs(found.high))
    alone = _is_point(found.interval, scale)
    equal = isinstance(found.versus, Paired) and _is_point(found.versus.interval, scale)
    if not alone and not equal:
        return found
    right, wrong = extremes(np.random.default_rng(seed).integers(0, found.n, IMITATED))
    counts = _counts(found.n, level)
    if alone:
        ends = [_mixed(statistic, own, made_up, counts) for made_up in (right, wrong)]
        found = replace(found, low=min(found.low, *ends), high=max(found.high, *ends))
    if equal and isinstance(found.versus, Paired):
        gaps = [
            _mixed(statistic, own, ours, counts) - _mixed(statistic, other, theirs, counts)
            for ours, theirs in ((right, wrong), (wrong, right))
        ]
        gap = found.versus.interval
        gap = Interval(gap.value, min(gap.low, *gaps), max(gap.high, *gaps))
        found = replace(found, versus=replace(found.versus, interval=gap))
    return found if _is_bounded(found, scale) else Undefined(_unbounded(found.n))


def missed_share(samples: int, level: float = LEVEL) -> float:
    """Returns the largest share of all samples of which so many, drawn at random, may well hold none.

    Example:
        >>> round(missed_share(400), 5)
        0.00918
    """
    return float(1 - ((1 - level) / 2) ** (1 / samples))


def _is_point(interval: Interval, scale: float) -> bool:
    return interval.high - interval.low <= ROUNDING * scale


def _is_bounded(found: Measurement, scale: float) -> bool:
    """Whether the ends are apart and finite: made-up samples may be no different from those seen, or too far from them."""
    import numpy as np

    intervals = [found.interval, *([found.versus.interval] if isinstance(found.versus, Paired) else [])]
    return all(np.isfinite([each.low, each.high]).all() and not _is_point(each, scale) for each in intervals)


def _unbounded(samples: int) -> str:
    return f"all {samples} samples agree, and nothing bounds what others would give: give more, or a `range` of scores"


def _counts(samples: int, level: float) -> tuple[int, int]:
    """Returns how often each observed sample and each made-up one counts, so that the share of these is the missed one."""
    share = missed_share(samples, level)
    odds = share / (1 - share) * samples
    seen = max(1, math.floor(IMITATED / odds))
    return seen, math.ceil(odds * seen / IMITATED)


def _mixed(statistic: Statistic, rows: Rows, made_up: Rows, counts: tuple[int, int]) -> float:
    import numpy as np

    seen, missed = counts
    return statistic(
        {
            name: np.concatenate([column.repeat(seen, axis=0), made_up[name].repeat(missed, axis=0)])
            for name, column in rows.items()
        }
    )
