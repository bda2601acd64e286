"""How many samples a constraint takes, said before anything runs: data that are too few can decide nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from olivelike.errors import OlivelikeError
from olivelike.evaluate.statistics.intervals import proportion_interval, samples_for_drop
from olivelike.plan.model import Constraint, MetricPlan, Plan, Rule
from olivelike.sources.counting import count_samples

CHANGED = 0.02
"""The share of answers that a light quantization changes: what the figure for ordinary cases assumes."""


FEW = 100
"""With fewer samples the interval of a mean reaches more than a fifth of their standard deviation to either side."""


def sample_notes(plan: Plan) -> tuple[str, ...]:
    """Returns a note for each constraint that so few samples can hardly decide, or not at all."""
    return tuple(note for constraint in plan.constraints for note in _notes(plan, constraint))


def _notes(plan: Plan, constraint: Constraint) -> Iterator[str]:
    metric = next(each for each in plan.metrics if constraint.key in each.keys)
    needed = _needed(metric, constraint)
    for entry in filter(None, (metric.data, metric.certify)):
        count = _count(plan, entry)
        if count and needed and count < needed.usual:
            cannot = "cannot be shown" if count < needed.least else "may stay undecided"
            yield f"{constraint.text} {cannot} on data.{entry}: it has {count:,}, and that takes {needed.told}"


@dataclass(frozen=True, slots=True)
class _Needed:
    """How many samples a constraint takes: at the very least, in ordinary cases, and in words."""

    least: int
    usual: int
    told: str


def _needed(metric: MetricPlan, constraint: Constraint) -> _Needed | None:
    kind = metric.metric()
    if constraint.key.partition(".")[2] not in kind.shares(metric.config):
        sampled = not kind.timed and (kind.needs_labels or kind.data == "required")
        return _Needed(0, FEW, f"{FEW} samples or more for most constraints") if sampled else None
    match constraint.rule:
        case Rule.MAX_DROP if constraint.amount > 0:
            return _for_drop(constraint)
        case Rule.AT_LEAST if 0 < constraint.amount < 1:
            least = _samples_for_share(constraint.amount)
            return _Needed(least, least, f"at least {least:,} samples, if every answer is right")
        case _:
            return None


def _for_drop(constraint: Constraint) -> _Needed:
    """Returns what a drop takes; a relative one is largest where the baseline is always right, which is not known yet."""
    least = samples_for_drop(constraint.amount, 0.0)
    usual = samples_for_drop(constraint.amount, CHANGED)
    at_least = "at least " if constraint.relative else ""
    told = f"{at_least}{least:,} samples if no answer changes, about {usual:,} if {CHANGED:.0%} do"
    return _Needed(least, usual, told)


def _samples_for_share(share: float) -> int:
    """Returns how many rightly answered samples show a share: that many, and no fewer, have their interval's low end there."""
    low, high = 1, 1 << 40
    while low < high:
        n = (low + high) // 2
        low, high = (low, n) if proportion_interval(n, n).low >= share else (n + 1, high)
    return low


def _count(plan: Plan, name: str) -> int:
    entry = plan.data[name]
    with suppress(OlivelikeError):  # what is wrong with the files is said elsewhere
        return count_samples(entry.reader(), entry.config, entry.spec, plan.folder, entry.transform)
    return 0
