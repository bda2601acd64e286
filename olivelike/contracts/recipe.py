"""A recipe: one chain of steps with no choice left. Equal recipes have equal keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from olivelike.contracts.space import Limits
from olivelike.digest import Json, JsonObject, canonical_json, digest_json


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

    def __str__(self) -> str:
        return " > ".join(step.name for step in self.steps) or "(no step)"
