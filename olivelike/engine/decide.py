"""Measured until decided: cheapest metric first, no further once a candidate cannot win, longer where a constraint is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.outcome import Failed, Measured, Measurement, Outcome
from olivelike.contracts.recipe import Recipe
from olivelike.engine.baseline import Reference
from olivelike.engine.candidate import Candidate
from olivelike.engine.desk import Desk
from olivelike.engine.judge import Holds, Metrics, judge
from olivelike.engine.measure import Unavailable, Values, measure
from olivelike.engine.select import is_behind
from olivelike.plan.model import MetricPlan, Plan

ROUNDS = 3
"""How often an undecided candidate is measured again, each time longer."""


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
    """Measures a candidate as far as the answer needs it."""
    metrics: dict[str, Measurement] = {}
    left_out: dict[str, str] = {}
    unavailable: dict[str, str] = {}
    for metric in field.desk.plan.metrics:
        if hopeless := _hopeless(field, metrics, number):
            left_out |= dict.fromkeys(metric.keys, hopeless)
            continue
        match _measure(field, metric, artifact, number):
            case Values(metrics=found):
                metrics |= found
            case Unavailable(reason=reason):
                unavailable |= dict.fromkeys(metric.keys, reason)
            case Failed() as failed:
                return failed
    if not left_out:
        metrics |= _longer(field, metrics, artifact, number)
    return Measured(artifact.digest, metrics, left_out, unavailable)


def _measure(field: Field, metric: MetricPlan, artifact: Artifact, number: int) -> Values | Unavailable | Failed:
    return measure(field.desk, metric, artifact, field.baseline.artifact if field.baseline.usable else artifact, number)


def _hopeless(field: Field, metrics: Mapping[str, Measurement], number: int) -> str:
    """Returns why a candidate can no longer win; empty while it can."""
    plan = field.desk.plan
    if plan.search.measure == "all" or plan.output.keep != "best" or not plan.chooses:
        return ""
    for judgement in judge(plan.constraints, metrics, field.baseline.metrics):
        if judgement.holds is Holds.NO:
            return f"breaks {judgement.text}"
    if not plan.objectives or any(objective.key not in metrics for objective in plan.objectives):
        return ""
    own = Candidate(number, Recipe(), "", "", 0, metrics, False)
    for rival in _feasible(field):
        if all(is_behind(objective, own, rival) for objective in plan.objectives):
            keys = ", ".join(objective.key for objective in plan.objectives)
            return f"{keys}: shown worse than {rival.name}"
    return ""


def _feasible(field: Field) -> list[Candidate]:
    known = list(field.others)
    if field.baseline.usable:
        known.append(field.baseline.candidate)
    plan, base = field.desk.plan, field.baseline.metrics
    return [c for c in known if _is_feasible(plan, c, base)]


def _is_feasible(plan: Plan, candidate: Candidate, baseline: Metrics) -> bool:
    if not candidate.complete or any(objective.key not in candidate.metrics for objective in plan.objectives):
        return False
    if plan.output.kind not in {"", candidate.kind}:
        return False
    return all(j.holds is Holds.YES for j in judge(plan.constraints, candidate.metrics, baseline))


def _longer(
    field: Field, metrics: Mapping[str, Measurement], artifact: Artifact, number: int
) -> dict[str, Measurement]:
    """Measures longer what leaves a constraint open, while nothing else rules the candidate out and time is left."""
    found = dict(metrics)
    plans = {key: metric for metric in field.desk.plan.metrics for key in metric.keys}
    for _ in range(ROUNDS):
        judged = judge(field.desk.plan.constraints, found, field.baseline.metrics)
        open_keys = [j.constraint.key for j in judged if j.holds is Holds.OPEN]
        if any(j.holds is Holds.NO for j in judged) or not open_keys or monotonic() > field.deadline:
            return found
        again = {plans[key].name: _lengthened(plans[key]) for key in open_keys}
        longer = [metric for metric in again.values() if metric != plans[metric.keys[0]]]
        for metric in longer:
            plans |= dict.fromkeys(metric.keys, metric)
            result = _measure(field, metric, artifact, number)
            if isinstance(result, Values):
                found |= result.metrics
        if not longer:
            return found
    return found


def _lengthened(metric: MetricPlan) -> MetricPlan:
    return replace(metric, config=metric.metric().longer(metric.config))
