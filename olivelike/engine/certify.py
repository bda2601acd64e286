"""Certifying: what the search chose must hold again, on data that no choice has looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.certificate import Certainty, Certificate, Finding
from olivelike.contracts.outcome import Failed, Measurement
from olivelike.engine.baseline import Reference
from olivelike.engine.candidate import BASELINE, Candidate
from olivelike.engine.desk import Desk
from olivelike.engine.judge import Holds, Judgement, judge
from olivelike.engine.measure import Unavailable, Values, measure
from olivelike.errors import InputError
from olivelike.evaluate.statistics.intervals import LEVEL
from olivelike.plan.model import Constraint, MetricPlan

ALPHA = 0.05
"""The chance, at most, that any model which does not hold is accepted, over all that are certified (Bonferroni)."""


def certified_metrics(desk: Desk) -> tuple[MetricPlan, ...]:
    """Returns the metrics that name data to certify on and are constrained, reading those data."""
    keys = {constraint.key for constraint in desk.plan.constraints}
    found = [metric for metric in desk.plan.metrics if metric.certify and keys & set(metric.keys)]
    return tuple(replace(metric, data=metric.certify) for metric in found)


def certified_constraints(desk: Desk) -> list[Constraint]:
    """Returns the constraints that are judged again, on data that the search did not see."""
    keys = {key for metric in certified_metrics(desk) for key in metric.keys}
    return [constraint for constraint in desk.plan.constraints if constraint.key in keys]


def certify(desk: Desk, candidate: Candidate, baseline: Reference, alpha: float) -> Certificate:
    """Measures a candidate, and the baseline, on the certification data and judges the constraints on those metrics.

    A constraint is accepted where the worse end of its interval holds. Intervals are of level `1 - 2 alpha`, so that each end
    is wrong with a chance of `alpha`.

    Args:
        desk: the plan and what it needs.
        candidate: feasible by the data that the search saw.
        baseline: what constraints compare with.
        alpha: this candidate's share of the error rate.
    """
    artifact = desk.store.open(candidate.artifact)
    metrics, constraints = certified_metrics(desk), certified_constraints(desk)
    findings, own = judged_on(desk, metrics, constraints, artifact, baseline, candidate.trial, 1 - 2 * alpha)
    return Certificate(candidate.trial, alpha, findings, own)


def judged_on(
    desk: Desk,
    metrics: Sequence[MetricPlan],
    constraints: Sequence[Constraint],
    artifact: Artifact,
    baseline: Reference,
    trial: int,
    level: float = LEVEL,
) -> tuple[tuple[Finding, ...], dict[str, Measurement]]:
    """Measures an artifact, and the baseline, with some metrics and judges some constraints by that.

    Returns:
        A finding for each constraint, and what was measured of the artifact.
    """
    reference = baseline.artifact if baseline.usable else artifact
    own, failed = _measured(desk, metrics, artifact, reference, trial, level)
    base, _ = _measured(desk, metrics, reference, reference, BASELINE, level) if baseline.usable else ({}, "")
    return tuple(_finding(judgement, failed) for judgement in judge(constraints, own, base)), own


def _measured(
    desk: Desk, metrics: Sequence[MetricPlan], artifact: Artifact, reference: Artifact, trial: int, level: float
) -> tuple[dict[str, Measurement], str]:
    """Returns what was measured, and why not all was."""
    found: dict[str, Measurement] = {}
    reasons: list[str] = []
    for metric in metrics:
        match measure(desk, metric, artifact, reference, trial, level=level):
            case Values(metrics=values, undefined=undefined):
                found |= values
                reasons += undefined.values()
            case Failed(input=wrong) if wrong:
                raise InputError(*wrong)
            case Unavailable(reason=reason) | Failed(reason=reason):
                reasons.append(reason)
    return found, "; ".join(reasons)


def _finding(judgement: Judgement, failed: str) -> Finding:
    text = judgement.text.removeprefix(f"{judgement.constraint.text}: ")
    return Finding(judgement.constraint.text, _certainty(judgement), f"{text}: {failed}" if failed else text)


def _certainty(judgement: Judgement) -> Certainty:
    match judgement.holds:
        case Holds.YES:
            return Certainty.ACCEPT
        case Holds.NO:
            return Certainty.REJECT
        case Holds.OPEN:
            return Certainty.UNDECIDED
        case _ as never:
            assert_never(never)


def not_accepted(certificate: Certificate) -> str:
    """Returns why a candidate was not accepted, in a line."""
    lacking = [f for f in certificate.findings if f.verdict is not Certainty.ACCEPT]
    found = "; ".join(f"{finding.constraint}: {finding.found}" for finding in lacking)
    return f"not accepted on the certification data: {found}"


def uncertified(constraints: Sequence[Constraint], metrics: Sequence[MetricPlan], tried: int) -> tuple[str, ...]:
    """Returns notes for constraints on sampled quality that nothing certifies, where the best of several was chosen."""
    if tried < 2:
        return ()
    notes = []
    for metric in metrics:
        held = [c for c in constraints if c.key in metric.keys]
        if held and metric.data and not metric.certify and not metric.metric.timed:
            claim = f"{metric.name}: the best of {tried} was chosen by the same samples that judge it"
            notes.append(f"{claim}; name data that the search does not see (`certify:`) to certify the choice")
    return tuple(notes)
