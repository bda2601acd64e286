"""A preview: for every recipe, which steps and measurements the cache has, and why it lacks the others. Nothing runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice

from pydantic import ValidationError

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.outcome import Measurement
from olivelike.contracts.recipe import Recipe, RecipeStep, Varying
from olivelike.engine.baseline import FirstChoices, baseline_recipe
from olivelike.engine.candidate import BASELINE, Candidate
from olivelike.engine.decide import is_feasible, prunes
from olivelike.engine.desk import Desk
from olivelike.engine.goals import Goals
from olivelike.engine.measure import ingredients_of as measure_ingredients_of
from olivelike.engine.measure import measure_task, read_values, suffices
from olivelike.engine.missing import why_no_measurement, why_no_step
from olivelike.engine.step import ingredients_of as step_ingredients_of
from olivelike.engine.step import step_task
from olivelike.plan.model import NO_BASELINE, MetricPlan
from olivelike.store.keys import key_of
from olivelike.store.port import Absent


class Found(Enum):
    """What the cache knows of a step or measurement."""

    HIT = "hit"
    MISS = "miss"
    UNKNOWN = "unknown"
    NOT_NEEDED = "not needed"


@dataclass(frozen=True, slots=True)
class Look:
    """One step or measurement: its name, what the cache knows of it, and why it misses or is not asked for."""

    name: str
    found: Found
    why: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.found.value}" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True, slots=True)
class RecipeLook:
    """One recipe: its steps and its measurements."""

    label: str
    recipe: Recipe
    steps: tuple[Look, ...]
    measurements: tuple[Look, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would do.

    Attributes:
        recipes: the baseline first, then the recipes that would be tried, where they can be listed beforehand.
        count: how many recipes there are; -1 where a range is continuous.
        tried: how many trials a run would do at most.
        notes: what the user should know of the baseline.
        told: what tells the recipes apart.
    """

    recipes: tuple[RecipeLook, ...]
    count: int
    tried: int
    told: Varying
    notes: tuple[str, ...] = ()


def preview(desk: Desk, source: Artifact) -> Preview:
    """Looks up every step and measurement that a run would ask for, and executes nothing.

    Raises:
        InputError: OL112, no step makes anything measurable of the input.
    """
    count = desk.plan.space.count()
    most = desk.plan.search.max_trials if desk.plan.chooses else 1
    tried = most if count < 0 else min(count, most)
    first, notes = baseline_recipe(desk.plan, source.kind)
    made_first, reference = _steps(desk, source, first)
    looks: list[RecipeLook] = []
    base: Mapping[str, Measurement] = {}
    rivals: list[Candidate] = []
    if desk.plan.baseline != NO_BASELINE:
        seen = _measurements(desk, reference, reference, Goals())
        base = seen.values
        looks.append(RecipeLook("baseline", first, made_first, seen.looks))
        rivals += [Candidate(BASELINE, first, reference, "", 0, base, True)] if seen.complete else []
    listed = [desk.plan.space.draw(FirstChoices())] if count < 0 else islice(desk.plan.space.recipes(), tried)
    for number, recipe in enumerate(listed):
        steps, made = _steps(desk, source, recipe)
        feasible = [rival for rival in rivals if is_feasible(desk.plan, rival, base)]
        goals = Goals(desk.plan.constraints, desk.plan.objectives, base, rivals=feasible, prunes=prunes(desk.plan))
        seen = _measurements(desk, made, reference, goals)
        looks.append(RecipeLook(str(number), recipe, steps, seen.looks))
        rivals += [Candidate(number, recipe, made, "", 0, seen.values, True)] if seen.complete else []
    return Preview(tuple(looks), count, tried, desk.told, notes)


def _steps(desk: Desk, source: Artifact, recipe: Recipe) -> tuple[tuple[Look, ...], str]:
    """Returns a look at each step, and the digest of the output; empty where it is not known without running."""
    looks: list[Look] = []
    digest = source.digest
    for step in recipe.steps:
        if not digest:
            looks.append(Look(step.name, Found.UNKNOWN, "depends on a step that has to run"))
            continue
        found, digest = _step(desk, digest, step)
        looks += found
    return tuple(looks), digest


def _step(desk: Desk, source: str, step: RecipeStep) -> tuple[list[Look], str]:
    kind = desk.pass_named(step.pass_name)
    try:
        config = kind.config.model_validate(dict(step.config))
    except ValidationError:
        return [Look(step.name, Found.UNKNOWN, "its configuration does not hold together")], ""
    looks: list[Look] = []
    needed: dict[str, str] = {}
    for name, auxiliary in kind().needs(config).items():
        inner = RecipeStep(auxiliary.pass_name, auxiliary.pass_name, dict(auxiliary.config), step.verify)
        found, needed[name] = _step(desk, source, inner)
        looks += found
    if not all(needed.values()):
        return [*looks, Look(step.name, Found.UNKNOWN, "depends on a step that has to run")], ""
    ingredients = step_ingredients_of(desk, step_task(desk, source, step, kind, needed), kind)
    record = desk.store.lookup(key_of(ingredients))
    if isinstance(record, Absent):
        return [*looks, Look(step.name, Found.MISS, why_no_step(desk.store, ingredients))], ""
    if "refused" in record:
        return [*looks, Look(step.name, Found.HIT, f"refused: {record['refused']}")], ""
    return [*looks, Look(step.name, Found.HIT)], str(record["output"])


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the cache has of a candidate's measurements; `complete` where it has all that a run would ask for."""

    looks: tuple[Look, ...]
    values: Mapping[str, Measurement]
    complete: bool


def _measurements(desk: Desk, candidate: str, reference: str, goals: Goals) -> _Seen:
    """Looks up measurements in the order of a run, which asks for no more once the candidate cannot win."""
    looks: list[Look] = []
    values: dict[str, Measurement] = {}
    for metric in desk.plan.metrics:
        if hopeless := goals.hopeless(values):
            looks.append(Look(metric.name, Found.NOT_NEEDED, hopeless))
            continue
        look, found = _measurement(desk, metric, candidate, reference, replace(goals, known=dict(values)))
        looks.append(look)
        values |= found
    return _Seen(tuple(looks), values, all(look.found is Found.HIT for look in looks))


def _measurement(
    desk: Desk, metric: MetricPlan, candidate: str, reference: str, goals: Goals
) -> tuple[Look, Mapping[str, Measurement]]:
    if not candidate or not reference:
        return Look(metric.name, Found.UNKNOWN, "depends on a step that has to run"), {}
    ingredients = measure_ingredients_of(desk, metric, measure_task(desk, metric, candidate, reference))
    record = desk.store.lookup(key_of(ingredients))
    if isinstance(record, Absent):
        return Look(metric.name, Found.MISS, why_no_measurement(desk.store, ingredients)), {}
    values = read_values(metric, record)
    if not suffices(values, goals):
        return Look(metric.name, Found.MISS, "measured only as far as an earlier run needed it"), {}
    return Look(metric.name, Found.HIT), values.metrics
