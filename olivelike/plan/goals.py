"""Resolving metrics, constraints and objectives: what is measured, what must hold, what is to be made best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ValidationError

from olivelike.contracts.data import ScriptCall
from olivelike.contracts.metric import ValueSpec
from olivelike.errors import InputError, nearest
from olivelike.plan.data import allows, data_hint
from olivelike.plan.findings import Findings, KeyPath
from olivelike.plan.model import Constraint, DataPlan, MetricPlan, Objective, Rule
from olivelike.registry import Registry
from olivelike.workflow.diagnose import config_problems
from olivelike.workflow.schema import Amount, ConstraintSection, MetricSection, Workflow

SECONDS = {"ms": 1e-3, "s": 1.0}
WRITTEN_UNITS = {"ms": "ms", "s": "s", "bytes": "B"}
"""Units that a bound has to name, as a workflow file writes them."""


def resolve_metrics(
    workflow: Workflow, registry: Registry, data: Mapping[str, DataPlan], findings: Findings
) -> tuple[MetricPlan, ...]:
    """Resolves every metric, cheapest first; within one cost the user's order stays."""
    found = [_metric(name, section, workflow, registry, data, findings) for name, section in workflow.metrics.items()]
    return tuple(sorted((plan for plan in found if plan is not None), key=lambda plan: plan.metric.cost))


def _metric(
    name: str,
    section: MetricSection,
    workflow: Workflow,
    registry: Registry,
    data: Mapping[str, DataPlan],
    findings: Findings,
) -> MetricPlan | None:
    path: KeyPath = ("metrics", name)
    try:
        kind = registry.metric_named(section.type)
        config = kind.config.model_validate(dict(section.own))
    except InputError as error:
        findings.adopt(error, (*path, "type"))
        return None
    except ValidationError as error:
        for problem_path, code, claim, hint in config_problems(error, registry.metric_named(section.type).config):
            findings.add(code, claim, (*path, *problem_path), hint)
        return None
    _check_metric_data(section, kind.data, kind.needs_labels, workflow, data, path, findings)
    _check_certify(section, data, path, findings)
    values = kind().values(config)
    return MetricPlan(name, section.type, kind, config, section.data, values, tuple(_scripts(config)), section.certify)


def _check_metric_data(
    section: MetricSection,
    wants: str,
    labels: bool,
    workflow: Workflow,
    data: Mapping[str, DataPlan],
    path: KeyPath,
    findings: Findings,
) -> None:
    if not section.data:
        if wants == "required":
            hint = data_hint(data, workflow)
            findings.add("OL111", f"the metric {section.type} needs data", path, f"add `data:`; {hint}")
        return
    if wants == "none":
        findings.add("OL112", f"the metric {section.type} takes no data", (*path, "data"), "remove `data:`")
    elif section.data not in workflow.data:
        hint = nearest(section.data, workflow.data)
        findings.add("OL108", f"no data entry is called {section.data!r}", (*path, "data"), hint)
    elif entry := data.get(section.data):
        if labels and not entry.labelled:
            claim = f"the metric {section.type} needs labels, but data entry {section.data!r} names none"
            findings.add("OL207", claim, (*path, "data"), f"add `labels:` to data.{section.data}")
        if wants == "required" and not allows(entry, "selection"):
            claim = f"data entry {section.data!r} is for {', '.join(entry.spec.use)}, not for selection"
            findings.add("OL112", claim, (*path, "data"), "use another entry, or add selection to its use")


def _check_certify(section: MetricSection, data: Mapping[str, DataPlan], path: KeyPath, findings: Findings) -> None:
    """Checks that the data that certify are different from what the search sees by construction: their `use` says so."""
    if not section.certify:
        return
    at, entry = (*path, "certify"), data.get(section.certify)
    if not section.data:
        findings.add("OL112", "certify goes with data: the search needs samples of its own", at, "add `data:`")
    elif entry is None:
        claim = f"no data entry is called {section.certify!r}"
        findings.add("OL108", claim, at, nearest(section.certify, data))
    elif entry.spec.use != ("certification",):
        use = f"has use {list(entry.spec.use)}" if entry.spec.use else "says no use"
        claim = f"data entry {section.certify!r} {use}, so the search may see it"
        findings.add("OL112", claim, at, f"write `use: [certification]` in data.{section.certify}")


def _scripts(config: BaseModel) -> list[str]:
    values = (getattr(config, name) for name in type(config).model_fields)
    return [value.script for value in values if isinstance(value, ScriptCall)]


def resolve_constraints(
    workflow: Workflow, metrics: Sequence[MetricPlan], findings: Findings
) -> tuple[Constraint, ...]:
    """Resolves every constraint against the metrics' values."""
    found = []
    for index, section in enumerate(workflow.constraints):
        path: KeyPath = ("constraints", index)
        address = _address(section.metric, workflow, metrics, (*path, "metric"), findings)
        if address is None:
            continue
        key, spec = address
        _check_claims(key, spec, (*path, "metric"), findings)
        rule, amount = Rule(section.rule), section.amount
        _check_rule(rule, amount, spec, path, findings)
        bound = _in_unit(amount, spec, (*path, section.rule), findings)
        found.append(
            Constraint(key, rule, bound, amount.relative, spec.better, f"{key} {section.rule} {_written(section)}")
        )
    return tuple(found)


def resolve_objectives(workflow: Workflow, metrics: Sequence[MetricPlan], findings: Findings) -> tuple[Objective, ...]:
    """Resolves every objective against the metrics' values, in order of priority."""
    found = []
    for index, section in enumerate(workflow.objectives):
        path: KeyPath = ("objectives", index)
        address = _address(section.metric, workflow, metrics, (*path, section.direction), findings)
        if address is None:
            continue
        key, spec = address
        _check_claims(key, spec, (*path, section.direction), findings)
        if (section.direction == "minimize") != (spec.better == "lower"):
            claim = f"{section.direction} {key}, although {spec.better} is better"
            hint = "minimize" if spec.better == "lower" else "maximize"
            findings.add("OL112", claim, path, f"write {hint}")
        within = _in_unit(section.within, spec, (*path, "within"), findings)
        found.append(Objective(key, section.direction == "minimize", within, section.within.relative))
    return tuple(found)


def _address(
    written: str, workflow: Workflow, metrics: Sequence[MetricPlan], path: KeyPath, findings: Findings
) -> tuple[str, ValueSpec] | None:
    name, _, value = written.partition(".")
    plan = next((metric for metric in metrics if metric.name == name), None)
    if plan is None:
        if name not in workflow.metrics:
            findings.add("OL108", f"{written!r} is not measured", path, nearest(name, workflow.metrics))
        return None
    if not value:
        return f"{name}.{plan.values[0].name}", plan.values[0]
    for spec in plan.values:
        if spec.name == value:
            return written, spec
    findings.add(
        "OL108", f"the metric {name!r} gives no value {value!r}", path, nearest(value, [v.name for v in plan.values])
    )
    return None


def _check_claims(key: str, spec: ValueSpec, path: KeyPath, findings: Findings) -> None:
    if spec.describes:
        claim = f"{key} describes the runs that were made and claims nothing beyond: nothing can be held to it"
        findings.add("OL112", claim, path, "take a percentile, such as p50 or p99")


def _check_rule(rule: Rule, amount: Amount, spec: ValueSpec, path: KeyPath, findings: Findings) -> None:
    wrong = {("max_drop", "lower"): "max_increase", ("max_increase", "higher"): "max_drop"}.get(
        (rule.value, spec.better)
    )
    if wrong:
        claim = f"{rule.value} on {spec.name}, where {spec.better} is better: that would be an improvement"
        findings.add("OL112", claim, (*path, rule.value), f"write {wrong}")
    if amount.relative and not rule.compares:
        claim = f"{rule.value} is an absolute bound, got a percentage"
        findings.add(
            "OL112", claim, (*path, rule.value), "write a number, or use max_drop, max_increase or min_improvement"
        )


def _in_unit(amount: Amount, spec: ValueSpec, path: KeyPath, findings: Findings) -> float:
    if amount.relative or amount.unit == spec.unit:
        return amount.value
    if not amount.unit:
        if spec.unit in WRITTEN_UNITS and amount.value:  # nothing is nothing in every unit
            claim = f"{spec.name} is measured in {spec.unit}, got {amount.value:g} without a unit"
            findings.add("OL105", claim, path, f"write the unit: {amount.value:g} {WRITTEN_UNITS[spec.unit]}")
        return amount.value
    if amount.unit in SECONDS and spec.unit in SECONDS:
        return amount.value * SECONDS[amount.unit] / SECONDS[spec.unit]
    if spec.unit == "1":
        claim, hint = f"{spec.name} is a plain number, got an amount in {amount.unit}", "write a number without a unit"
    else:
        example = {"bytes": "2 MiB", "ms": "20 ms", "s": "2 s"}.get(
            spec.unit, "a plain number, which counts in this unit"
        )
        claim, hint = f"{spec.name} is measured in {spec.unit}, got {amount.unit}", f"for example {example}"
    findings.add("OL105", claim, path, hint)
    return amount.value


def _written(section: ConstraintSection) -> str:
    amount = section.amount
    if amount.relative:
        return f"{amount.value * 100:g}%"
    return f"{amount.value:g} {amount.unit}".strip()
