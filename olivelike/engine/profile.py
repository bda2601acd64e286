"""Where the time goes in a run's baseline and in what it chose: the metric `profile` of both, after selection."""

from __future__ import annotations

from dataclasses import replace

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import MetricConfig
from olivelike.contracts.outcome import Failed
from olivelike.contracts.report import Report
from olivelike.engine.baseline import Reference
from olivelike.engine.candidate import BASELINE
from olivelike.engine.desk import Desk
from olivelike.engine.measure import Unavailable, Values, measure
from olivelike.plan.model import MetricPlan

METRIC = "profile"


def profiled(desk: Desk, baseline: Reference, report: Report) -> Report:
    """Returns a report with the profiles of the baseline and of what it chose; where one cannot be had, a note says why."""
    models: dict[str, Artifact] = {}
    if baseline.usable:
        models["baseline"] = baseline.artifact
    if report.chosen and report.chosen[0].digest != baseline.digest:
        models["chosen"] = desk.store.open(report.chosen[0].digest)
    plan = _metric(desk)
    profiles, notes = {}, []
    for name, artifact in models.items():
        match measure(desk, plan, artifact, artifact, BASELINE):
            case Values(metrics=metrics):
                profiles[name] = next(iter(metrics.values()))
            case Unavailable(reason=reason) | Failed(reason=reason):
                notes.append(f"no profile of the {name}: {reason}")
    return replace(report, profile=profiles, notes=(*report.notes, *notes))


def _metric(desk: Desk) -> MetricPlan:
    """Returns the metric `profile`, fed what the workflow's first timed metric is fed."""
    kind = desk.registry.metric_named(METRIC)
    timed = [metric for metric in desk.plan.metrics if metric.metric.timed and metric.metric.data == "optional"]
    fed: dict[str, object] = {}
    for metric in timed[:1]:
        written = metric.config.model_dump()
        fed = {name: written[name] for name in ("batch", "dims") if name in written}
    config: MetricConfig = kind.config.model_validate(fed)
    return MetricPlan(METRIC, METRIC, kind, config, timed[0].data if timed else "", kind().values(config), ())
