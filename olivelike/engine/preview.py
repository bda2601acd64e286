"""A preview: for every recipe, which steps and measurements the cache has, and why it lacks the others. Nothing runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import cast

from pydantic import ValidationError

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.recipe import Recipe, RecipeStep
from olivelike.digest import JsonObject
from olivelike.engine.baseline import FirstChoices, baseline_recipe
from olivelike.engine.desk import Desk
from olivelike.engine.measure import ingredients_of as measure_ingredients_of
from olivelike.engine.measure import measure_task
from olivelike.engine.step import ingredients_of as step_ingredients_of
from olivelike.engine.step import step_task
from olivelike.plan.model import NO_BASELINE, MetricPlan
from olivelike.store.keys import differences, key_of
from olivelike.store.port import Absent

MOST_DIFFERENCES = 4


class Found(Enum):
    """What the cache knows of a step or measurement."""

    HIT = "hit"
    MISS = "miss"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Look:
    """One step or measurement: its name, what the cache knows of it, and why it misses."""

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
    """

    recipes: tuple[RecipeLook, ...]
    count: int
    tried: int
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
    compares = desk.plan.baseline != NO_BASELINE
    looks = [RecipeLook("baseline", first, made_first, _measurements(desk, reference, reference))] if compares else []
    recipes = [desk.plan.space.draw(FirstChoices())] if count < 0 else islice(desk.plan.space.recipes(), tried)
    for number, recipe in enumerate(recipes):
        steps, made = _steps(desk, source, recipe)
        looks.append(RecipeLook(str(number), recipe, steps, _measurements(desk, made, reference)))
    return Preview(tuple(looks), count, tried, notes)


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
        return [*looks, Look(step.name, Found.MISS, _why(desk, "step/", "pass", ingredients))], ""
    if "refused" in record:
        return [*looks, Look(step.name, Found.HIT, f"refused: {record['refused']}")], ""
    return [*looks, Look(step.name, Found.HIT)], str(record["output"])


def _measurements(desk: Desk, candidate: str, reference: str) -> tuple[Look, ...]:
    return tuple(_measurement(desk, metric, candidate, reference) for metric in desk.plan.metrics)


def _measurement(desk: Desk, metric: MetricPlan, candidate: str, reference: str) -> Look:
    if not candidate or not reference:
        return Look(metric.name, Found.UNKNOWN, "depends on a step that has to run")
    ingredients = measure_ingredients_of(desk, metric, measure_task(desk, metric, candidate, reference))
    if not isinstance(desk.store.lookup(key_of(ingredients)), Absent):
        return Look(metric.name, Found.HIT)
    return Look(metric.name, Found.MISS, _why(desk, "measure/", "metric", ingredients))


def _why(desk: Desk, prefix: str, subject: str, ingredients: JsonObject) -> str:
    """Returns what differs from the nearest record of the same pass or metric."""
    fewest: list[str] = []
    for old in _recorded(desk, prefix):
        if old.get(subject) != ingredients[subject]:
            continue
        found = list(differences(old, ingredients))
        if found and (not fewest or len(found) < len(fewest)):
            fewest = found
    if not fewest:
        return "never done before"
    more = f" and {len(fewest) - MOST_DIFFERENCES} more" if len(fewest) > MOST_DIFFERENCES else ""
    return ", ".join(fewest[:MOST_DIFFERENCES]) + more


def _recorded(desk: Desk, prefix: str) -> Iterator[JsonObject]:
    for _, record in desk.store.records(prefix):
        if isinstance(ingredients := record.get("ingredients"), Mapping):
            yield cast("JsonObject", ingredients)
