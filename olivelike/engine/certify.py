"""Certifying: what the search chose must hold again, on data that no choice has looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar, assert_never

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.outcome import Failed, Measurement
from olivelike.contracts.report import Certainty, Certificate, Finding
from olivelike.engine.baseline import Reference
from olivelike.engine.candidate import BASELINE, Candidate
from olivelike.engine.desk import Desk
from olivelike.engine.judge import Holds, Judgement, judge
from olivelike.engine.measure import Unavailable, Values, measure
from olivelike.errors import InputError
from olivelike.evaluate.statistics.intervals import LEVEL
from olivelike.plan.model import Constraint, MetricPlan

Ranked = TypeVar("Ranked")

ALPHA = 0.05
MOST_TRIED = 2
"""How many candidates are certified at most, each at an equal share of the error rate (Bonferroni): accepting the second
because the first was not accepted is a second chance to err."""


def certified_metrics(desk: Desk) -> tuple[MetricPlan, ...]:
    """Returns the metrics that name data to certify on and are constrained, reading those data."""
    keys = {constraint.key for constraint in desk.plan.constraints}
    found = [metric for metric in desk.plan.metrics if metric.certify and keys & set(metric.keys)]
    return tuple(replace(metric, data=metric.certify) for metric in found)


def certify(desk: Desk, candidates: Sequence[Candidate], baseline: Reference) -> tuple[Certificate, ...]:
    """Certifies candidates, the best first, until one is accepted.

    A constraint is accepted where the worse end of its interval holds on the certification data. Those intervals are of
    95 %, so an end is wrong with a chance of 2.5 %; two candidates are tried at most, which makes 5 % together.

    Args:
        desk: the plan and what it needs.
        candidates: feasible by the data that the search saw, the best first.
        baseline: what constraints compare with.
    """
    return first_accepted(candidates, lambda candidate: certify_one(desk, candidate, baseline))


def first_accepted(ranked: Sequence[Ranked], judged: Callable[[Ranked], Certificate]) -> tuple[Certificate, ...]:
    """Returns the certificates of the best, in their order, up to the first that is accepted; two at most."""
    certificates: list[Certificate] = []
    for each in ranked[:MOST_TRIED]:
        certificates.append(judged(each))
        if certificates[-1].verdict is Certainty.ACCEPT:
            break
    return tuple(certificates)


def certify_one(desk: Desk, candidate: Candidate, baseline: Reference) -> Certificate:
    """Measures one candidate, and the baseline, on the certification data and judges the constraints on those metrics."""
    metrics = certified_metrics(desk)
    keys = {key for metric in metrics for key in metric.keys}
    constraints = [constraint for constraint in desk.plan.constraints if constraint.key in keys]
    artifact = desk.store.open(candidate.artifact)
    findings, own = judged_on(desk, metrics, constraints, artifact, baseline, candidate.trial)
    return Certificate(candidate.trial, ALPHA / MOST_TRIED, findings, own)


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
    return tuple(finding_of(judgement, failed) for judgement in judge(constraints, own, base)), own


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


def finding_of(judgement: Judgement, failed: str = "") -> Finding:
    """Returns what can be promised of a constraint, and what was found; `failed` says why not all was measured."""
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
