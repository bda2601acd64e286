"""Resolving: a workflow and the registry give a plan, or everything that is wrong with the workflow at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from olivelike.contracts.space import ForkSpace, StepSpace
from olivelike.contracts.target import PROVIDERS, Target
from olivelike.contracts.target import Provider as TargetProvider
from olivelike.errors import InputError, Problem, nearest
from olivelike.plan.data import resolve_data
from olivelike.plan.draw import TreeSpace
from olivelike.plan.findings import Findings, Places
from olivelike.plan.goals import resolve_constraints, resolve_metrics, resolve_objectives
from olivelike.plan.idle import idle_notes
from olivelike.plan.kinds import deliverable, kinds_made, misfits, several
from olivelike.plan.model import INPUT, NO_BASELINE, MetricPlan, ModelPlan, Plan
from olivelike.plan.steps import Steps, resolve_steps
from olivelike.plan.tasks import TASKS
from olivelike.registry import Registry
from olivelike.workflow.schema import TargetSection, Workflow
from olivelike.workflow.steps import walk
from olivelike.workflow.write import written


class Nowhere:
    """The places of a workflow that was built in code."""

    def at(self, path: Sequence[str | int]) -> str:
        """Returns no place."""
        del path
        return ""


def resolve(
    workflow: Workflow, registry: Registry, folder: Path, places: Places | None = None, problems: Sequence[Problem] = ()
) -> Plan:
    """Turns a workflow into a plan.

    Args:
        workflow: what the user wrote.
        registry: the names that are known.
        folder: where relative paths start.
        places: where things stand in the user's file.
        problems: what reading the file already found; reported together with what is found here.

    Raises:
        InputError: every problem of the workflow.
    """
    findings = Findings(places or Nowhere(), problems)
    model = _model(workflow, registry, findings)
    target = _target(workflow, findings)
    data = resolve_data(workflow, registry, folder, findings)
    metrics = resolve_metrics(workflow, registry, data, findings)
    constraints = resolve_constraints(workflow, metrics, findings)
    objectives = resolve_objectives(workflow, metrics, findings)
    steps = resolve_steps(workflow, registry, data, findings)
    space = TreeSpace(steps.tree, steps.complete)
    _check_strategy(workflow, registry, findings)
    _check_choices(workflow, steps, findings)
    _check_baseline(workflow, metrics, steps, findings)
    _check_kinds(workflow, steps, findings)
    kinds = kinds_made(steps.tree, steps.passes)
    kind = deliverable(workflow.output.kind, kinds, findings)
    findings.raise_any()
    assert model is not None
    return Plan(
        name=workflow.name,
        folder=folder,
        document=written(workflow),
        model=model,
        target=target,
        data=data,
        metrics=metrics,
        constraints=constraints,
        objectives=objectives,
        space=space,
        passes=steps.passes,
        baseline=workflow.baseline,
        search=workflow.search,
        output=workflow.output.model_copy(update={"kind": kind}),
        run=workflow.run,
        kinds=kinds,
        notes=(*_notes(workflow, metrics, space.count(), kinds), *idle_notes(steps.tree, steps.passes)),
    )


def _model(workflow: Workflow, registry: Registry, findings: Findings) -> ModelPlan | None:
    own = workflow.model.own
    known = registry.names("sources")
    keys = [key for key in own if key in known]
    for key in own:
        if key not in known:
            findings.add(
                "OL104",
                f"unknown key {key!r} in model",
                ("model", key),
                nearest(key, [*known, "custom_operators", "file", "revision", "task"]),
            )
    if len(keys) > 1:
        findings.add(
            "OL112", f"a model has exactly one source, got {' and '.join(keys)}", ("model",), "remove all but one"
        )
    if not keys:
        if not own:
            findings.add("OL111", "the model names no source", ("model",), f"add one of: {', '.join(known)}")
        return None
    model = workflow.model
    if model.task and model.task not in TASKS:
        findings.add("OL107", f"no task is called {model.task!r}", ("model", "task"), nearest(model.task, TASKS))
    source = registry.source_named(keys[0])
    return ModelPlan(source, own[keys[0]], model.file, model.revision, model.custom_operators)


def _target(workflow: Workflow, findings: Findings) -> Target:
    section = workflow.target
    if isinstance(section, str):
        if section not in workflow.targets:
            findings.add("OL108", f"no target is called {section!r}", ("target",), nearest(section, workflow.targets))
            return Target()
        path: tuple[str, ...] = ("targets", section)
        section = workflow.targets[section]
    else:
        path = ("target",)
    _check_providers(section, path, findings)
    return Target(
        device=section.device,
        providers=tuple(TargetProvider(p.name, dict(p.options)) for p in section.providers),
        threads=section.threads,
        session=dict(section.session),
        present=section.present,
    )


def _check_providers(section: TargetSection, path: tuple[str, ...], findings: Findings) -> None:
    full = set(PROVIDERS.values())
    for index, provider in enumerate(section.providers):
        if provider.name not in full and not provider.name.endswith("ExecutionProvider"):
            hint = nearest(provider.name, [*PROVIDERS, *full])
            findings.add(
                "OL107", f"no execution provider is called {provider.name!r}", (*path, "providers", index), hint
            )


def _check_strategy(workflow: Workflow, registry: Registry, findings: Findings) -> None:
    for kind, name, path in (
        ("strategies", workflow.search.strategy, ("search", "strategy")),
        ("executors", workflow.run.executor, ("run", "executor")),
    ):
        try:
            registry.reference(kind, name)  # type: ignore[arg-type]
        except InputError as error:
            findings.adopt(error, path)


def _check_choices(workflow: Workflow, steps: Steps, findings: Findings) -> None:
    if workflow.constraints or workflow.objectives or not steps.choices:
        return
    claim = f"{steps.choices[0]} is a choice, but there is no constraint and no objective to choose by"
    findings.add("OL117", claim, ("passes",), "add constraints or objectives, or leave one value")


def _check_kinds(workflow: Workflow, steps: Steps, findings: Findings) -> None:
    unfit = misfits(steps.tree, steps.passes)
    for path, step in walk(workflow.passes):
        if step.name in unfit:
            findings.add(
                "OL112", unfit[step.name], path, "leave one of the steps out, or put one between that converts"
            )


def _check_baseline(workflow: Workflow, metrics: Sequence[MetricPlan], steps: Steps, findings: Findings) -> None:
    name = workflow.baseline
    if name == NO_BASELINE:
        for index, constraint in enumerate(workflow.constraints):
            if constraint.rule not in {"at_most", "at_least"}:
                claim = f"{constraint.rule} compares with a baseline, but baseline is none"
                findings.add("OL112", claim, ("constraints", index), "name a baseline, or use at_most or at_least")
        for metric in metrics:
            if metric.type_name == "parity":
                findings.add("OL112", "parity compares with a baseline, but baseline is none", ("metrics", metric.name))
        return
    if name == INPUT:
        return
    names = [step.name for step in workflow.passes]
    if name not in names:
        findings.add(
            "OL108",
            f"the baseline {name!r} is no step of the main chain",
            ("baseline",),
            nearest(name, [INPUT, *names]),
        )
        return
    before = names[: names.index(name) + 1]
    for step in steps.tree:
        if step.name in before and _has_choice(step):
            claim = f"the baseline {name!r} stands at or behind a choice ({step.name})"
            findings.add(
                "OL112", claim, ("baseline",), "a baseline is the same for all candidates: name an earlier step"
            )


def _has_choice(step: StepSpace | ForkSpace) -> bool:
    return isinstance(step, ForkSpace) or bool(step.free)


def _notes(workflow: Workflow, metrics: Sequence[MetricPlan], count: int, kinds: tuple[str, ...]) -> tuple[str, ...]:
    notes = [text] if (text := several(workflow.output.kind, kinds)) else []
    if not workflow.passes:
        notes.append("the workflow has no passes: the model is only measured")
    if workflow.search.strategy == "grid" and count > workflow.search.max_trials:
        notes.append(f"{count} recipes, but search.max_trials is {workflow.search.max_trials}: the rest is not tried")
    if not metrics:
        notes.append("no metrics: nothing is measured")
    return tuple(notes)
