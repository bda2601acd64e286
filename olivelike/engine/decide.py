"""Measured until decided: cheapest metric first, and no further once a candidate cannot win any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from time import monotonic

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.outcome import Failed, Measured, Measurement, Outcome
from olivelike.engine.baseline import Reference
from olivelike.engine.candidate import Candidate
from olivelike.engine.desk import Desk
from olivelike.engine.goals import Goals
from olivelike.engine.judge import Holds, Metrics, judge
from olivelike.engine.measure import Unavailable, Values, measure
from olivelike.plan.model import Plan


@dataclass(frozen=True)
class Field:
    """What one candidate is measured against.

    Attributes:
        desk: the plan and what it needs.
        baseline: what candidates are compared with.
        others: the candidates measured so far.
        deadline: the monotonic time at which the search's time is up.
    """

    desk: Desk
    baseline: Reference
    others: Sequence[Candidate]
    deadline: float


def measure_until_decided(field: Field, artifact: Artifact, number: int) -> Outcome:
    """Measures a candidate as far as the answer needs it.

    A metric that samples is told the goals: it goes on while a constraint is open, and ends early once the candidate is out.
    """
    metrics: dict[str, Measurement] = {}
    left_out: dict[str, str] = {}
    unavailable: dict[str, str] = {}
    reference = field.baseline.artifact if field.baseline.usable else artifact
    for metric in field.desk.plan.metrics:
        goals = _goals(field, metrics)
        if hopeless := goals.hopeless(metrics):
            left_out |= dict.fromkeys(metric.keys, hopeless)
            continue
        match measure(field.desk, metric, artifact, reference, number, goals):
            case Values(metrics=found, undefined=undefined):
                metrics |= found
                unavailable |= undefined
            case Unavailable(reason=reason):
                unavailable |= dict.fromkeys(metric.keys, reason)
            case Failed() as failed:
                return failed
    return Measured(artifact.digest, metrics, left_out, unavailable)


def prunes(plan: Plan) -> bool:
    """Whether a candidate that cannot win any more is left at that."""
    return plan.chooses and plan.output.keep == "best" and plan.search.measure != "all"


def _goals(field: Field, known: Mapping[str, Measurement]) -> Goals:
    plan = field.desk.plan
    if not plan.chooses:
        return Goals()
    left = max(field.deadline - monotonic(), 0.0) if field.deadline != inf else inf
    rivals = _feasible(field) if prunes(plan) else []
    return Goals(plan.constraints, plan.objectives, field.baseline.metrics, known, rivals, left, prunes(plan))


def _feasible(field: Field) -> list[Candidate]:
    known = list(field.others)
    if field.baseline.usable:
        known.append(field.baseline.candidate)
    plan, base = field.desk.plan, field.baseline.metrics
    return [c for c in known if is_feasible(plan, c, base)]


def is_feasible(plan: Plan, candidate: Candidate, baseline: Metrics) -> bool:
    """Whether a measured candidate could be handed out as far as is known now."""
    if not candidate.complete or any(objective.key not in candidate.metrics for objective in plan.objectives):
        return False
    if plan.output.kind not in {"", candidate.kind}:
        return False
    return all(j.holds is Holds.YES for j in judge(plan.constraints, candidate.metrics, baseline))
