"""The schema of the workflow file: what a user wrote, frozen; the only home of user-facing defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field, JsonValue, Tag, model_validator

from olivelike.contracts.units import Amount
from olivelike.workflow.faults import Fault, all_broken
from olivelike.workflow.goals import ConstraintSection, MetricSection, ObjectiveSection
from olivelike.workflow.section import MAPPING_TAG, TEXT_TAG, Name, NotBuilt, Section, Text, shape_tag
from olivelike.workflow.sections import (
    DataSection,
    ModelSection,
    OutputSection,
    ProviderSection,
    RunSection,
    SearchSection,
    TargetSection,
)
from olivelike.workflow.steps import StepSection, walk

__all__ = [
    "Amount",
    "ConstraintSection",
    "DataSection",
    "MetricSection",
    "ModelSection",
    "ObjectiveSection",
    "OutputSection",
    "ProviderSection",
    "RunSection",
    "SearchSection",
    "StepSection",
    "TargetSection",
    "Workflow",
    "walk",
]

RESERVED = ("models", "include", "vars")
"""Top-level keys kept for capabilities to come, beside `environments`."""
TAKEN_NAMES = ("input", "none")
"""What `baseline` and `when` mean by these names, so that no step may bear them."""


class Workflow(Section):
    """A workflow file, as a value. Equal whether it was read from a file or built in code.

    Attributes:
        format: the version of the file's shape.
        name: what the answer calls it.
        model: the model to optimize.
        targets: named targets; at most one.
        target: where the model is to run, or the name of an entry of `targets`.
        data: named data entries.
        metrics: named measuring runs.
        baseline: what candidates are compared with: `input`, a step's name, or `none`.
        constraints: what a deliverable model must hold.
        objectives: what is to be best, in order of priority.
        passes: the steps, in order.
        search: how recipes are looked for.
        output: what is handed out.
        run: the machine's side.
    """

    format: Literal[1] = 1
    name: Text = "workflow"
    model: Annotated[ModelSection, Field(examples=["{path: model.onnx}"])]
    environments: Annotated[dict[str, JsonValue], NotBuilt] = Field(default={})
    targets: dict[Name, TargetSection] = Field(default={})
    target: Annotated[
        Annotated[TargetSection, Tag(MAPPING_TAG)] | Annotated[str, Tag(TEXT_TAG)], Discriminator(shape_tag)
    ] = TargetSection()
    data: Annotated[dict[Name, DataSection], Field(examples=["{test: {npz: test.npz}}"])] = Field(default={})
    metrics: Annotated[dict[Name, MetricSection], Field(examples=["{size: {type: size}}"])] = Field(default={})
    baseline: Text = "input"
    constraints: Annotated[tuple[ConstraintSection, ...], Field(examples=["[{metric: accuracy, max_drop: 0.01}]"])] = ()
    objectives: Annotated[tuple[ObjectiveSection, ...], Field(examples=["[{minimize: latency.p50}]"])] = ()
    passes: Annotated[tuple[StepSection, ...], Field(examples=["[{simplify: {}}]"])] = ()
    search: SearchSection = SearchSection()
    output: OutputSection = OutputSection()
    run: RunSection = RunSection()

    @model_validator(mode="before")
    @classmethod
    def _drop(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        return {key: item for key, item in value.items() if item is not None and not key.startswith("x-")}

    @model_validator(mode="after")
    def _check(self) -> Workflow:
        if faults := [*_names_twice(self), *_strange_targets(self)]:
            raise all_broken(faults)
        return self


def _names_twice(workflow: Workflow) -> Iterator[Fault]:
    seen: set[str] = set()
    for path, step in walk(workflow.passes):
        if step.name in TAKEN_NAMES:
            yield Fault("OL110", f"no step may be called `{step.name}`", path, "give it another name")
        elif step.name in seen:
            yield Fault("OL110", f"a second step is called `{step.name}`", path, f"for example name: {step.name}_2")
        seen.add(step.name)


def _strange_targets(workflow: Workflow) -> Iterator[Fault]:
    own = workflow.target if isinstance(workflow.target, str) else ""
    for name, metric in workflow.metrics.items():
        if metric.target and metric.target != own:
            claim = f"measuring on `{metric.target}`, which is not the workflow's target, is not built yet"
            yield Fault("OL109", claim, ("metrics", name, "target"), "remove it")
    if len(workflow.targets) > 1:
        claim = f"more than one target is not built yet, got {', '.join(workflow.targets)}"
        yield Fault("OL109", claim, ("targets",), "write one workflow for each target")
    for name in workflow.targets:
        if not own:
            yield Fault("OL112", f"`target` does not name `{name}`", ("targets", name), f"write target: {name}")
