"""The paired bootstrap: intervals for statistics that are no mean (F1, AUROC, a correlation, BLEU, a ratio of sums)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from olivelike.contracts.outcome import Interval, Measurement, Paired, Undefined, Unpaired, Value
from olivelike.evaluate.statistics.intervals import LEVEL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array
    from olivelike.contracts.outcome import Better

Rows: TypeAlias = Mapping[str, "Array"]
"""Columns of what was observed, axis 0 counts samples."""

Statistic: TypeAlias = Callable[[Rows], float]
"""From rows to one number; not a number where it is undefined on them."""

RESAMPLES = 999
FEWEST_DEFINED = 0.9
"""The share of resamples on which a statistic must be defined."""


def bootstrapped(
    statistic: Statistic, own: Rows, other: Rows, *, better: Better, seed: int, unit: str = "1", undefined: str = ""
) -> Value:
    """Returns a statistic of the candidate's rows with its interval, and its difference to the baseline's.

    The same resampled samples are taken of both models, so that what makes samples hard for both cancels (Koehn 2004,
    Statistical significance tests for machine translation evaluation). Percentile intervals (Efron & Tibshirani 1993,
    An Introduction to the Bootstrap, chapter 13); their coverage is approximate and needs some tens of samples at least.

    Args:
        statistic: of rows.
        own: the candidate's.
        other: the baseline's, of the same samples in the same order; empty where nothing is compared.
        better: which direction is better.
        seed: of the resampling.
        unit: of the value.
        undefined: why the statistic can be undefined on some data, for the reader.
    """
    value = statistic(own)
    base = statistic(other) if other else math.nan
    if not math.isfinite(value) or (other and not math.isfinite(base)):
        return Undefined(undefined or "it is undefined on these data")
    n = _count(own)
    values, bases = _resampled(statistic, own, other, n, seed)
    defined = [a for a in values if math.isfinite(a)]
    if len(defined) < FEWEST_DEFINED * RESAMPLES:
        return Undefined(f"{undefined or 'it is undefined on most resamples'}: {n} samples are too few")
    found = _interval(value, defined)
    versus = _gap(value - base, [a - b for a, b in zip(values, bases, strict=True)]) if other else Unpaired()
    return Measurement(value, unit, better, found.low, found.high, n, versus)


def _resampled(statistic: Statistic, own: Rows, other: Rows, n: int, seed: int) -> tuple[list[float], list[float]]:
    import numpy as np

    draw = np.random.default_rng(seed)
    values, bases = [], []
    for _ in range(RESAMPLES):
        taken = draw.integers(0, n, n)
        values.append(statistic(_take(own, taken)))
        if other:
            bases.append(statistic(_take(other, taken)))
    return values, bases


def _gap(value: float, gaps: list[float]) -> Paired:
    return Paired("difference", _interval(value, [gap for gap in gaps if math.isfinite(gap)]))


def _interval(value: float, resampled: list[float]) -> Interval:
    import numpy as np

    tail = (1 - LEVEL) / 2
    low, high = (float(end) for end in np.quantile(resampled, [tail, 1 - tail]))
    return Interval(value, min(low, value), max(high, value))


def _take(rows: Rows, taken: NDArray[np.intp]) -> Rows:
    return {name: column[taken] for name, column in rows.items()}


def _count(rows: Rows) -> int:
    return min(len(column) for column in rows.values())
