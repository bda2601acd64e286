"""Resolving the `passes:` section: steps, forks and chains become a space of typed choices."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import islice, product

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from olivelike.contracts.data import RefersTo
from olivelike.contracts.passes import AnyPass
from olivelike.contracts.recipe import RecipeStep
from olivelike.contracts.space import Choice, Domain, ForkSpace, Range, Space, StepSpace
from olivelike.digest import Json
from olivelike.errors import InputError, nearest
from olivelike.plan.data import allows
from olivelike.plan.findings import Findings, KeyPath
from olivelike.plan.model import DataPlan
from olivelike.registry import Registry
from olivelike.workflow.diagnose import config_problems
from olivelike.workflow.schema import StepSection, Workflow

MOST_WAYS = 1000
"""So many combinations of one step's choices are looked at for one that holds together."""
RANGE_KEYS = ("range", "step", "log")


@dataclass(frozen=True, slots=True)
class Steps:
    """The resolved steps.

    Attributes:
        tree: the space of recipes.
        passes: every pass that a recipe may name, auxiliary ones included.
        choices: the paths (`static_quant.format`) at which something is left open.
        complete: gives a step with chosen parameters its full configuration.
    """

    tree: Space
    passes: Mapping[str, type[AnyPass]]
    choices: tuple[str, ...]
    complete: Callable[[StepSpace, Mapping[str, Json]], RecipeStep]


def resolve_steps(workflow: Workflow, registry: Registry, data: Mapping[str, DataPlan], findings: Findings) -> Steps:
    """Resolves every step; those that are wrong are noted and left out."""
    builder = _Builder(workflow, registry, data, findings)
    tree = builder.chain(workflow.passes, [("passes", index) for index in range(len(workflow.passes))], {})
    return Steps(tree, builder.passes, tuple(builder.choices), _completer(builder.passes))


@dataclass
class _Builder:
    workflow: Workflow
    registry: Registry
    data: Mapping[str, DataPlan]
    findings: Findings
    passes: dict[str, type[AnyPass]] = field(default_factory=dict)
    choices: list[str] = field(default_factory=list)

    def chain(self, steps: Sequence[StepSection], paths: Sequence[KeyPath], forks: dict[str, set[str]]) -> Space:
        """Resolves a chain; `forks` grows by the forks met, each with the step names its alternatives hold."""
        built: list[StepSpace | ForkSpace] = []
        for step, path in zip(steps, paths, strict=True):
            self._check_when(step, path, forks)
            if step.one_of:
                built.append(self._fork(step, path, forks))
                forks[step.name] = {name for alternative in step.one_of for name in _names(alternative)} | {"none"}
            elif step.pass_name:
                built += self._step(step, path)
        return tuple(built)

    def _fork(self, step: StepSection, path: KeyPath, forks: dict[str, set[str]]) -> ForkSpace:
        self.choices.append(step.name)
        alternatives = tuple(
            self.chain(
                alternative, [step.alternative_path(path, index, k) for k in range(len(alternative))], dict(forks)
            )
            for index, alternative in enumerate(step.one_of)
        )
        return ForkSpace(step.name, alternatives, dict(step.when))

    def _step(self, step: StepSection, path: KeyPath) -> Iterator[StepSpace]:
        try:
            kind = self.registry.pass_named(step.pass_name)
        except InputError as error:
            self.findings.adopt(error, (*path, step.pass_name))
            return
        if kind.auxiliary:
            claim = f"{step.pass_name} makes no model: passes that need it ask for it themselves"
            self.findings.add("OL112", claim, path, "remove the step")
            return
        self._use(step.pass_name, kind)
        parameters = _Parameters(kind.config, (*path, step.pass_name), self.findings)
        fixed, free = parameters.split(step.config)
        self.choices += [f"{step.name}.{name}" for name in free]
        self._check_references(kind.config, fixed, free, (*path, step.pass_name))
        yield StepSpace(step.name, step.pass_name, fixed, free, dict(step.when), step.verify, step.limits)

    def _use(self, name: str, kind: type[AnyPass]) -> None:
        self.passes[name] = kind

    def _check_when(self, step: StepSection, path: KeyPath, forks: Mapping[str, AbstractSet[str]]) -> None:
        for fork, names in step.when.items():
            if fork not in forks:
                claim = f"when names {fork!r}, which is no earlier step with one_of"
                self.findings.add("OL108", claim, (*path, "when", fork), nearest(fork, forks))
                continue
            for name in names:
                if name not in forks[fork]:
                    claim = f"no alternative of {fork!r} holds a step called {name!r}"
                    self.findings.add("OL108", claim, (*path, "when", fork), nearest(name, forks[fork]))

    def _check_references(
        self, config: type[BaseModel], fixed: Mapping[str, Json], free: Mapping[str, Domain], path: KeyPath
    ) -> None:
        for name, info in config.model_fields.items():
            if not any(isinstance(mark, RefersTo) for mark in info.metadata):
                continue
            domain = free.get(name)
            for value in domain.values if isinstance(domain, Choice) else (fixed.get(name),):
                if isinstance(value, str) and value:  # empty where the pass may do without data
                    self._check_reference(value, (*path, name))

    def _check_reference(self, value: str, path: KeyPath) -> None:
        if value not in self.workflow.data:
            hint = nearest(value, self.workflow.data)
            self.findings.add("OL108", f"no data entry is called {value!r}", path, hint)
        elif (entry := self.data.get(value)) and not allows(entry, "calibration", "train"):
            claim = f"data entry {value!r} is for {', '.join(entry.spec.use)}, not for calibration"
            self.findings.add("OL112", claim, path, "use another entry, or add calibration to its use")


@dataclass
class _Parameters:
    config: type[BaseModel]
    path: KeyPath
    findings: Findings

    def split(self, values: Mapping[str, Json]) -> tuple[dict[str, Json], dict[str, Domain]]:
        """Splits what the user wrote into fixed values and domains, each value checked against its declared type."""
        fixed: dict[str, Json] = {}
        free: dict[str, Domain] = {}
        for name, value in values.items():
            info = self.config.model_fields.get(name)
            if info is None:
                hint = nearest(name, self.config.model_fields)
                self.findings.add("OL104", f"unknown parameter {name!r}", (*self.path, name), hint)
                continue
            domain = self._domain(name, value, info)
            if isinstance(domain, Choice | Range):
                self._check_domain(name, domain, info)
                free[name] = domain
            else:
                fixed[name] = domain.value
                self._check(name, domain.value, info)
        if not free:
            self._check_whole(fixed)
        else:
            self._check_required({**fixed, **free})
            self._check_some(fixed, free)
        return fixed, free

    def _domain(self, name: str, value: Json, info: FieldInfo) -> Domain | _Fixed:
        if isinstance(value, Mapping) and set(value) == {"value"}:
            return _Fixed(value["value"])
        if isinstance(value, Mapping) and set(value) == {"choice"} and isinstance(value["choice"], list):
            return Choice(tuple(value["choice"]))
        if isinstance(value, Mapping) and "range" in value and self._is_range(name, value, info):
            return self._range(name, value)
        if isinstance(value, list) and not holds_collection(info.annotation):
            return Choice(tuple(value))
        return _Fixed(value)

    def _is_range(self, name: str, value: Mapping[str, Json], info: FieldInfo) -> bool:
        """Whether a mapping with the key `range` is one; a key that no range has is named where no mapping can be meant."""
        unknown = [key for key in value if key not in RANGE_KEYS]
        if unknown and holds_collection(info.annotation):
            return False
        for key in unknown:
            self.findings.add("OL104", "unknown key", (*self.path, name, key), nearest(key, RANGE_KEYS))
        return True

    def _range(self, name: str, value: Mapping[str, Json]) -> Domain | _Fixed:
        bounds, step = value["range"], value.get("step", 0)
        numbers = isinstance(bounds, list) and len(bounds) == 2 and all(_is_number(bound) for bound in bounds)
        if not numbers or not _is_number(step) or float(step) < 0:  # type: ignore[arg-type]
            claim = f"a range is two numbers and a step above 0, got {dict(value)}"
            self.findings.add("OL105", claim, (*self.path, name), "write {range: [1, 4]} or {range: [0, 1], step: 0.1}")
            return Choice((0,))
        low, high = typing.cast("list[float]", bounds)
        if low > high or (value.get("log") and low <= 0):
            self.findings.add("OL105", f"the range {bounds} is empty or, with log, not positive", (*self.path, name))
        whole = all(isinstance(number, int) for number in (low, high, step))
        return Range(low, high, float(typing.cast("float", step)), bool(value.get("log")), whole)

    def _check_domain(self, name: str, domain: Domain, info: FieldInfo) -> None:
        if isinstance(domain, Choice) and not domain.values:
            self.findings.add(
                "OL114", f"{name} has an empty list of choices", (*self.path, name), "give at least one value"
            )
        values = domain.values if isinstance(domain, Choice) else (domain.low, domain.high)
        if isinstance(domain, Range) and domain.integer:
            values = (int(domain.low), int(domain.high))
        for value in values:
            self._check(name, value, info)

    def _check(self, name: str, value: Json, info: FieldInfo) -> None:
        declared: typing.Any = info.annotation
        adapter = TypeAdapter(typing.Annotated[declared, *info.metadata] if info.metadata else declared)
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            for _, code, claim, hint in config_problems(error, self.config):
                self.findings.add(code, claim, (*self.path, name), hint)
                return

    def _check_whole(self, fixed: Mapping[str, Json]) -> None:
        try:
            self.config.model_validate(dict(fixed))
        except ValidationError as error:
            for path, code, claim, hint in config_problems(error, self.config):
                self.findings.add("OL307" if code == "OL105" and not path else code, claim, (*self.path, *path), hint)

    def _check_some(self, fixed: Mapping[str, Json], free: Mapping[str, Domain]) -> None:
        """Checks that some choice holds together; where only some do not, their trials say so and the search goes on."""
        if any(isinstance(domain, Range) for domain in free.values()):
            return
        ways = product(*(domain.values for domain in free.values() if isinstance(domain, Choice)))
        wrong = ValidationError.from_exception_data(self.config.__name__, [])
        for values in islice(ways, MOST_WAYS):
            try:
                self.config.model_validate({**fixed, **dict(zip(free, values, strict=True))})
            except ValidationError as error:
                wrong = error
            else:
                return
        for path, code, claim, hint in config_problems(wrong, self.config):
            if code == "OL105" and not path:
                self.findings.add("OL307", f"no choice holds together: {claim}", self.path, hint)

    def _check_required(self, given: Mapping[str, object]) -> None:
        for name, info in self.config.model_fields.items():
            if info.is_required() and name not in given:
                self.findings.add("OL111", f"{name} is required", (*self.path, name), f"add {name}")


@dataclass(frozen=True, slots=True)
class _Fixed:
    value: Json


def holds_collection(annotation: object) -> bool:
    """Whether a declared type holds a list or a mapping anywhere, so that a bare list is the value and no choice.

    >>> holds_collection(int | None), holds_collection(tuple[str, ...]), holds_collection(dict[str, int] | None)
    (False, True, True)
    """
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated or origin is typing.Union or origin is types.UnionType:
        return any(holds_collection(part) for part in typing.get_args(annotation))
    if origin is typing.Literal:
        return False
    concrete = origin or annotation
    if isinstance(concrete, type):
        collections = (list, tuple, set, frozenset, dict, Sequence, Mapping, AbstractSet, BaseModel)
        return issubclass(concrete, collections) and not issubclass(concrete, str | bytes)
    return concrete is typing.Any


def _completer(passes: Mapping[str, type[AnyPass]]) -> Callable[[StepSpace, Mapping[str, Json]], RecipeStep]:
    """Returns a function that gives a step its full configuration.

    Values that do not hold together stay as they were written: the step then refuses them by name, and the search goes on.
    """

    def complete(step: StepSpace, chosen: Mapping[str, Json]) -> RecipeStep:
        values = {**step.fixed, **chosen}
        try:
            config = passes[step.pass_name].config.model_validate(values).model_dump(mode="json")
        except ValidationError:
            config = dict(values)
        return RecipeStep(step.name, step.pass_name, config, step.verify, step.limits)

    return complete


def _names(alternative: Sequence[StepSection]) -> Iterator[str]:
    for step in alternative:
        yield step.name
        for inner in step.one_of:
            yield from _names(inner)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
