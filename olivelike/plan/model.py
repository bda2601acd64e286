"""The plan: a workflow whose every name is a class, every config typed, every choice a domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from pydantic import BaseModel

from olivelike.contracts.data import DataReader, DataSpec
from olivelike.contracts.metric import AnyMetric, MetricConfig, ValueSpec
from olivelike.contracts.passes import AnyPass
from olivelike.contracts.ports import RecipeSpace, Source
from olivelike.contracts.target import Target
from olivelike.contracts.transform import NoTransform, Transform
from olivelike.digest import Json
from olivelike.workflow.schema import OutputSection, RunSection, SearchSection

INPUT = "input"
NO_BASELINE = "none"


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """Where the model comes from: a source class and what the user wrote behind its key, and the operators that it needs."""

    source: type[Source]
    value: Json
    file: str
    revision: str
    custom_operators: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DataPlan:
    """A data entry: its reader with typed config, and the spec that still lacks the digest of its files.

    Attributes:
        reader: the reader's class.
        config: its configuration.
        spec: everything else; `files` is empty until the files are in the store.
        prepare: the user's script that maps columns, or empty.
        transform: the named transform's class; `NoTransform` where there is none.
        named: files that the transform's options name, as the user wrote them.
    """

    reader: type[DataReader]
    config: BaseModel
    spec: DataSpec
    prepare: str = ""
    transform: type[Transform] = NoTransform
    named: tuple[str, ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether the entry has labels, as far as that is known before its files are read."""
        return bool(self.spec.labels) or self.reader.brings_labels or self.transform.brings_labels


@dataclass(frozen=True, slots=True)
class MetricPlan:
    """One metric entry: a measuring run with one or more values.

    `certify` names the data entry, unseen by the search, on which the winner must hold again; empty for none.
    """

    name: str
    type_name: str
    metric: type[AnyMetric]
    config: MetricConfig
    data: str
    values: tuple[ValueSpec, ...]
    scripts: tuple[str, ...]
    certify: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """The addresses of its values: `name.value`."""
        return tuple(f"{self.name}.{value.name}" for value in self.values)


class Rule(Enum):
    """What a constraint asks of a metric."""

    AT_MOST = "at_most"
    AT_LEAST = "at_least"
    MAX_DROP = "max_drop"
    MAX_INCREASE = "max_increase"
    MIN_IMPROVEMENT = "min_improvement"

    @property
    def compares(self) -> bool:
        """Whether the rule looks at the change against the baseline."""
        return self not in {Rule.AT_MOST, Rule.AT_LEAST}


@dataclass(frozen=True, slots=True)
class Constraint:
    """A condition that a deliverable model must hold.

    Attributes:
        key: `name.value` of the metric.
        rule: what is asked.
        amount: the bound, in the metric's unit; a share of the baseline's value where `relative`.
        relative: whether the bound is a share of the baseline's value.
        better: the metric's better direction.
        text: the constraint as the user would read it.
    """

    key: str
    rule: Rule
    amount: float
    relative: bool
    better: str
    text: str


@dataclass(frozen=True, slots=True)
class Objective:
    """What is to be as small or as large as possible; `within` is a tolerance, relative (a share) or absolute."""

    key: str
    minimize: bool
    within: float = 0.0
    within_relative: bool = False

    @property
    def text(self) -> str:
        """The objective as the user would read it."""
        return f"{'minimize' if self.minimize else 'maximize'} {self.key}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a run needs to know, decided before any work.

    Attributes:
        name: the workflow's name.
        folder: where the workflow's relative paths start.
        document: the workflow as JSON, for the lock.
        metrics: cheapest first.
        space: the recipes that can be drawn.
        passes: every pass that a recipe may name, auxiliary ones included.
        baseline: `input`, `none`, or a step's name.
        kinds: the kinds of artifact that recipes end in; empty text stands for that of the input.
        notes: what the user should know about how the workflow was read.
    """

    name: str
    folder: Path
    document: Mapping[str, Json]
    model: ModelPlan
    target: Target
    data: Mapping[str, DataPlan]
    metrics: tuple[MetricPlan, ...]
    constraints: tuple[Constraint, ...]
    objectives: tuple[Objective, ...]
    space: RecipeSpace
    passes: Mapping[str, type[AnyPass]]
    baseline: str
    search: SearchSection
    output: OutputSection
    run: RunSection
    kinds: tuple[str, ...] = ("",)
    notes: tuple[str, ...] = ()

    @property
    def chooses(self) -> bool:
        """Whether there is anything to choose by."""
        return bool(self.constraints or self.objectives)
