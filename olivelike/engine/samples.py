"""How many samples a constraint takes, said before anything runs: data that are too few can decide nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from olivelike.errors import OlivelikeError
from olivelike.evaluate.statistics.intervals import samples_for_drop
from olivelike.plan.model import Constraint, Plan, Rule
from olivelike.sources.counting import count_samples

CHANGED = 0.02
"""The share of answers that a light quantization changes: what the figure for ordinary cases assumes."""


def sample_notes(plan: Plan) -> tuple[str, ...]:
    """Returns a note for each constraint that so few samples can hardly decide, or not at all."""
    return tuple(note for constraint in plan.constraints for note in _notes(plan, constraint))


def _notes(plan: Plan, constraint: Constraint) -> Iterator[str]:
    if constraint.rule is not Rule.MAX_DROP or constraint.relative or not constraint.amount:
        return
    metric = next(each for each in plan.metrics if constraint.key in each.keys)
    if constraint.key.partition(".")[2] not in metric.metric().shares(metric.config):
        return
    least = samples_for_drop(constraint.amount, 0.0)
    usual = samples_for_drop(constraint.amount, CHANGED)
    for entry in filter(None, (metric.data, metric.certify)):
        count = _count(plan, entry)
        if not count or count >= usual:
            continue
        takes = f"{least:,} samples if no answer changes, about {usual:,} if {CHANGED:.0%} do"
        cannot = "cannot be shown" if count < least else "may stay undecided"
        yield f"{constraint.text} {cannot} on data.{entry}: it has {count:,}, and that takes {takes}"


def _count(plan: Plan, name: str) -> int:
    entry = plan.data[name]
    with suppress(OlivelikeError):  # what is wrong with the files is said elsewhere
        return count_samples(entry.reader(), entry.config, entry.spec, plan.folder, entry.transform)
    return 0
