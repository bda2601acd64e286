"""A recipe: one chain of steps with no choice left. Equal recipes have equal keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from olivelike.contracts.space import Limits
from olivelike.digest import Json, JsonObject, canonical_json, digest_json

Varying: TypeAlias = frozenset[tuple[str, str]]
"""The (step, parameter) pairs that differ between recipes: what tells them apart."""


@dataclass(frozen=True, slots=True)
class RecipeStep:
    """One step: which pass, with which full configuration (defaults materialised, JSON values)."""

    name: str
    pass_name: str
    config: Mapping[str, Json]
    verify: str = "fast"
    limits: Limits = field(default_factory=Limits)

    def to_json(self) -> JsonObject:
        """Returns the step as the answer document shows it."""
        return {"name": self.name, "pass": self.pass_name, "config": dict(self.config)}

    def essence(self) -> JsonObject:
        """Returns what the step does to a model: names and limits are left out."""
        return {"pass": self.pass_name, "config": dict(self.config), "verify": self.verify}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A chain of steps, applied in order."""

    steps: tuple[RecipeStep, ...] = ()

    @property
    def key(self) -> str:
        """The digest of what the recipe does; two recipes that do the same have the same key."""
        return digest_json([step.essence() for step in self.steps])

    @property
    def order(self) -> bytes:
        """The canonical order of recipes: the last tie-breaker of selection."""
        return canonical_json([step.essence() for step in self.steps])

    def text(self, told: Varying) -> str:
        """Returns the steps, each with those of its parameters that are to be told."""
        return " > ".join(_step_text(step, told) for step in self.steps) or "no step"

    def __str__(self) -> str:
        return self.text(frozenset())


def varying(recipes: Iterable[Recipe]) -> Varying:
    """Returns what differs between recipes, so that each can be told from the others by its text."""
    seen: dict[tuple[str, str], set[str]] = {}
    for recipe in recipes:
        for step in recipe.steps:
            for key, value in step.config.items():
                seen.setdefault((step.name, key), set()).add(str(value))
    return frozenset(pair for pair, values in seen.items() if len(values) > 1)


def _step_text(step: RecipeStep, told: Varying) -> str:
    words = [f"{key}={_word(value)}" for key, value in step.config.items() if (step.name, key) in told]
    return f"{step.name}({', '.join(words)})" if words else step.name


def _word(value: Json) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.6g}"  # a drawn number has 17 digits; six tell two draws apart
        case _:
            return str(value)
