"""Scores of single samples between bounds (right or wrong, exact match): their mean, and the drop against the baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from olivelike.contracts.metric import MeasureContext, Prospect
from olivelike.contracts.outcome import Measurement, Paired, Unpaired
from olivelike.evaluate.quality.side_by_side import Observed, Rows
from olivelike.evaluate.statistics.intervals import (
    matched_difference_interval,
    proportion_interval,
)
from olivelike.evaluate.statistics.sequences import bounded_mean_sequence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array
    from olivelike.contracts.outcome import Better


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between what the scores of single samples lie, and which direction is better."""

    low: float = 0.0
    high: float = 1.0
    better: Better = "higher"


SHARE = Bounds()


def stops_when_out(
    name: str, column: str, context: MeasureContext, bounds: Bounds = SHARE
) -> Callable[[Rows, Rows], bool]:
    """Returns whether enough samples are seen: the value, with intervals that hold at any time, rules the candidate out.

    Args:
        name: of the metric's value.
        column: of the rows, scores within the bounds.
        context: knows what the value is held against.
        bounds: of the scores.
    """
    return stops_when_any_out({name: (column, bounds)}, context)


def stops_when_any_out(
    values: Mapping[str, tuple[str, Bounds]], context: MeasureContext
) -> Callable[[Rows, Rows], bool]:
    """Returns whether enough samples are seen, as `stops_when_out` does, for several values at once.

    Args:
        values: a value's name to the column of its scores and their bounds; a column that is not there is passed by.
        context: knows what the values are held against.
    """

    def enough(own: Rows, other: Rows) -> bool:
        found = {
            name: _any_time(own[column], other[column] if other else None, bounds, context.level)
            for name, (column, bounds) in values.items()
            if column in own
        }
        return bool(found) and context.prospect(found) is Prospect.OUT

    return enough


def mean_score(observed: Observed, column: str, bounds: Bounds = SHARE) -> Measurement:
    """Returns the mean of scores within bounds, with the paired difference to the baseline.

    Of right-or-wrong scores (booleans), all of them seen: Wilson's interval and the matched-pairs interval. Of others, and
    where observing ended early: betting intervals, which hold at any time and never shrink to a point
    (`statistics.sequences`).
    """
    own = observed.own[column]
    other = observed.other[column] if observed.other else None
    right_or_wrong = own.dtype.kind == "b" and (bounds.low, bounds.high) == (SHARE.low, SHARE.high)
    if not observed.complete or not right_or_wrong:
        return replace(_any_time(own, other, bounds, observed.level), complete=observed.complete)
    share = proportion_interval(int(_floats(own).sum()), len(own), observed.level)
    versus: Paired | Unpaired = Unpaired()
    if other is not None:
        gaps = _floats(own) - _floats(other)
        versus = Paired(
            "difference",
            matched_difference_interval(int((gaps > 0).sum()), int((gaps < 0).sum()), len(own), observed.level),
        )
    return Measurement(share.value, "1", bounds.better, share.low, share.high, len(own), versus)


def _any_time(own: Array, other: Array | None, bounds: Bounds, level: float) -> Measurement:
    scores, width = _floats(own), bounds.high - bounds.low
    share = bounded_mean_sequence(scores.tolist(), bounds.low, bounds.high, level)
    versus: Paired | Unpaired = Unpaired()
    if other is not None:
        versus = Paired("difference", bounded_mean_sequence((scores - _floats(other)).tolist(), -width, width, level))
    return Measurement(share.value, "1", bounds.better, share.low, share.high, len(scores), versus, complete=False)


def _floats(scores: Array) -> NDArray[np.float64]:
    import numpy as np

    return scores.astype(np.float64)
