"""Judging one candidate: does a constraint hold, is it broken, or do the intervals leave it open?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import assert_never

from olivelike.contracts.outcome import Interval, Measurement, Paired, Unpaired
from olivelike.evaluate.statistics.intervals import samples_to_narrow
from olivelike.plan.model import Constraint, Objective, Rule

Metrics = Mapping[str, Measurement]
EXACT = 1e-12
UNKNOWN = Interval(math.nan, math.nan, math.nan)
TIMES = frozenset({"ms", "s", "1/s"})
SHARE = "1"
NO_DIFFERENCE = 0.01
"""Times that differ by less than this share are no difference: an A against A run is seen biased by tenths of a percent."""


class Holds(Enum):
    """What can be said of a constraint."""

    YES = "holds"
    NO = "is broken"
    OPEN = "is undecided"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What can be said of one constraint.

    Attributes:
        constraint: the constraint.
        holds: whether it holds.
        excess: by how much the value breaks it, as a share of the bound's scale; 0 or less holds.
        text: the constraint and what was found.
        found: what is held against the bound, in the words of the rule (a drop, an increase); not a number where unknown.
        upper: whether the bound is an upper one.
    """

    constraint: Constraint
    holds: Holds
    excess: float
    text: str
    found: Interval = UNKNOWN
    upper: bool = True


def judge(
    constraints: Sequence[Constraint],
    metrics: Metrics,
    baseline: Metrics,
    undefined: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Judgement, ...]:
    """Judges every constraint; one whose metric is missing is open.

    Args:
        constraints: what must hold.
        metrics: of the candidate.
        baseline: of the baseline.
        undefined: why a value of the candidate cannot be given, for the text.
    """
    return tuple(_judge(constraint, metrics, baseline, undefined) for constraint in constraints)


def _judge(constraint: Constraint, metrics: Metrics, baseline: Metrics, undefined: Mapping[str, str]) -> Judgement:
    if constraint.key not in metrics:
        why = undefined.get(constraint.key, "not measured")
        return Judgement(constraint, Holds.OPEN, float("inf"), f"{constraint.text}: {why}")
    measurement = metrics[constraint.key]
    if not constraint.rule.compares:
        found, upper = measurement.interval, constraint.rule is Rule.AT_MOST
    elif constraint.key not in baseline:
        return Judgement(constraint, Holds.OPEN, float("inf"), f"{constraint.text}: the baseline was not measured")
    else:
        found = change(measurement, baseline[constraint.key], relative=constraint.relative)
        found, upper = _as_asked(constraint, found)
    holds = _holds(found, constraint.amount, upper)
    excess = (found.value - constraint.amount) if upper else (constraint.amount - found.value)
    scale = abs(constraint.amount) or 1.0
    text = f"{constraint.text}: {_found(constraint, found)}"
    if holds is Holds.OPEN:
        text += _more_needed(measurement, found, constraint.amount)
    if holds is not Holds.YES and (because := measurement.details.get("because")):
        text += f" ({because})"
    return Judgement(constraint, holds, excess / scale, text, found, upper)


def _more_needed(measurement: Measurement, found: Interval, bound: float) -> str:
    """Returns how much more would probably decide."""
    gap = abs(found.value - bound)
    half = found.high - found.value if found.value < bound else found.value - found.low
    if not gap or not half or not math.isfinite(half):
        return "; too near the bound to say how much more would decide"
    more = _samples_in_all(measurement, half, gap, found) - measurement.n
    size = 10 ** max(math.floor(math.log10(max(more, 1))) - 1, 0)  # two digits: it is an estimate
    what = "runs" if measurement.unit in TIMES else "samples"
    return f"; about {max(round(more / size) * size, 1):,} more {what} would decide"


def _samples_in_all(measurement: Measurement, half: float, gap: float, found: Interval) -> float:
    """Returns how many samples bring an interval's end, now `half` from its value, to within `gap` of it.

    An interval shrinks with the root of the sample size. That of a difference between shares does not while few answers
    changed, as it never pretends that none would.
    """
    match measurement.versus:
        case Paired(kind="difference", interval=difference) if measurement.unit == SHARE:
            scale = (difference.high - difference.low) / (found.high - found.low)
            return samples_to_narrow(difference, measurement.n, gap * scale)
        case _:
            return measurement.n * (half / gap) ** 2


def _as_asked(constraint: Constraint, found: Interval) -> tuple[Interval, bool]:
    """Returns the change in the direction that the rule names, and whether the bound is an upper one."""
    match constraint.rule:
        case Rule.MAX_INCREASE:
            return found, True
        case Rule.MAX_DROP:
            return _negated(found), True
        case Rule.MIN_IMPROVEMENT:
            return (_negated(found) if constraint.better == "lower" else found), False
        case Rule.AT_MOST | Rule.AT_LEAST:
            return found, constraint.rule is Rule.AT_MOST
        case _ as never:
            assert_never(never)


def change(candidate: Measurement, baseline: Measurement, *, relative: bool) -> Interval:
    """Returns candidate minus baseline with its interval, as a share of the baseline's value where `relative`.

    The paired comparison is used where the metric made one; else the intervals of both, ends against ends, which is wider.
    """
    scale = 1.0 if not relative else (abs(baseline.value) or EXACT)
    match candidate.versus:
        case Paired(kind="ratio", interval=ratio):
            factor = baseline.value / scale
            ends = sorted((factor * (ratio.low - 1), factor * (ratio.high - 1)))
            return Interval(factor * (ratio.value - 1), ends[0], ends[1])
        case Paired(interval=gap):
            return Interval(gap.value / scale, gap.low / scale, gap.high / scale)
        case Unpaired():
            value = candidate.value - baseline.value
            if candidate == baseline:
                return Interval(0.0, 0.0, 0.0)
            return Interval(
                value / scale, (candidate.low - baseline.high) / scale, (candidate.high - baseline.low) / scale
            )
        case _ as never:
            assert_never(never)


@dataclass(frozen=True, slots=True)
class Standing:
    """A candidate's place in an objective, lower is better.

    Attributes:
        interval: its place, with its interval; for times the logarithm of the ratio to the baseline.
        slack: places no further apart than this are no difference.
    """

    interval: Interval
    slack: float

    def beats(self, other: Standing) -> bool:
        """Whether this place is shown to be better: the intervals are apart by more than what counts as no difference."""
        return self.interval.high + max(self.slack, other.slack) < other.interval.low

    def ties(self, other: Standing) -> bool:
        """Whether neither is shown to be better."""
        return not self.beats(other) and not other.beats(self)


def standing(objective: Objective, metrics: Metrics, *, paired: bool) -> Standing:
    """Returns a candidate's place in an objective.

    Args:
        objective: what is to be made best.
        metrics: the candidate's measurements.
        paired: compare by what was measured side by side with the baseline, not by the plain values. A candidate without
            such a comparison is then the baseline's own content, and stands at no change.
    """
    measurement = metrics[objective.key]
    found, slack = measurement.interval, 0.0
    if paired:
        match measurement.versus:
            case Paired(kind="ratio", interval=ratio):
                found, slack = Interval(*map(math.log, (ratio.value, ratio.low, ratio.high))), math.log1p(NO_DIFFERENCE)
            case Paired(interval=interval):
                found = interval
            case Unpaired():
                found = Interval(0.0, 0.0, 0.0)
            case _ as never:
                assert_never(never)
    return Standing(found if objective.minimize else _negated(found), slack)


def is_paired(objective: Objective, metrics: Metrics) -> bool:
    """Whether a candidate's objective was measured side by side with the baseline."""
    return isinstance(metrics[objective.key].versus, Paired)


def _holds(found: Interval, bound: float, upper: bool) -> Holds:
    slack = EXACT * max(1.0, abs(bound))
    if not upper:
        found, bound = _negated(found), -bound
    if found.high <= bound + slack:
        return Holds.YES
    return Holds.NO if found.low > bound + slack else Holds.OPEN


def _negated(interval: Interval) -> Interval:
    return Interval(0.0 - interval.value, 0.0 - interval.high, 0.0 - interval.low)  # never minus zero


def _found(constraint: Constraint, found: Interval) -> str:
    factor, unit = (100, " %") if constraint.relative else (1, "")
    value, low, high = (f"{end * factor + 0.0:.4g}" for end in (found.value, found.low, found.high))
    return f"got {value}{unit}" if found.low == found.high else f"got {value}{unit} [{low}, {high}]"
