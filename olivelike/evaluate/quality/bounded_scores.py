"""Scores of single samples between 0 and 1 (right or wrong, exact match): their mean, and the drop against the baseline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from olivelike.contracts.metric import MeasureContext, Prospect
from olivelike.contracts.outcome import Measurement, Paired, Unpaired
from olivelike.evaluate.quality.side_by_side import Observed, Rows
from olivelike.evaluate.statistics.intervals import (
    LEVEL,
    matched_difference_interval,
    proportion_interval,
)
from olivelike.evaluate.statistics.sequences import bounded_mean_sequence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array


def stops_when_out(name: str, column: str, context: MeasureContext) -> Callable[[Rows, Rows], bool]:
    """Returns whether enough samples are seen: the value, with intervals that hold at any time, rules the candidate out.

    Args:
        name: of the metric's value.
        column: of the rows, scores from 0 to 1.
        context: knows what the value is held against.
    """

    def enough(own: Rows, other: Rows) -> bool:
        found = _any_time(own[column], other[column] if other else None, context.level)
        return context.prospect({name: found}) is Prospect.OUT

    return enough


def mean_score(observed: Observed, column: str, level: float = LEVEL) -> Measurement:
    """Returns the mean of scores from 0 to 1, higher is better, with the paired difference to the baseline.

    Of right-or-wrong scores (booleans), all of them seen: Wilson's interval and the matched-pairs interval. Of others, and
    where observing ended early: betting intervals, which hold at any time and never shrink to a point
    (`statistics.sequences`).
    """
    own = observed.own[column]
    other = observed.other[column] if observed.other else None
    if not observed.complete or own.dtype.kind != "b":
        return replace(_any_time(own, other, level), complete=observed.complete)
    share = proportion_interval(int(_floats(own).sum()), len(own), level)
    versus: Paired | Unpaired = Unpaired()
    if other is not None:
        gaps = _floats(own) - _floats(other)
        versus = Paired(
            "difference", matched_difference_interval(int((gaps > 0).sum()), int((gaps < 0).sum()), len(own), level)
        )
    return Measurement(share.value, "1", "higher", share.low, share.high, len(own), versus)


def _any_time(own: Array, other: Array | None, level: float) -> Measurement:
    scores = _floats(own)
    share = bounded_mean_sequence(scores.tolist(), 0.0, 1.0, level)
    versus: Paired | Unpaired = Unpaired()
    if other is not None:
        versus = Paired("difference", bounded_mean_sequence((scores - _floats(other)).tolist(), -1.0, 1.0, level))
    return Measurement(share.value, "1", "higher", share.low, share.high, len(scores), versus, complete=False)


def _floats(scores: Array) -> NDArray[np.float64]:
    import numpy as np

    return scores.astype(np.float64)
