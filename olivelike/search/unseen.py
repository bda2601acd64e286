"""Drawing recipes at random that were not proposed before, in memory that does not depend on the space's size."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from olivelike.contracts.ports import Exhausted, RecipeSpace
from olivelike.contracts.recipe import Recipe
from olivelike.search.answers import RandomAnswers

FRUITLESS = 1000
"""So many draws in a row without a new recipe, and drawing is given up."""

LISTABLE = 100_000
"""Up to so many ways of answering, what drawing did not find is looked up in the list of all recipes."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A new recipe with the dials that led to it; none where it came from the list."""

    recipe: Recipe
    dials: Mapping[str, float] = field(default_factory=dict)


class Unseen:
    """The recipes of a space that were not proposed yet."""

    def __init__(self, space: RecipeSpace, seed: int) -> None:
        self._space = space
        self._generator = random.Random(seed)
        self._seen: set[str] = set()
        self._rest: Iterator[Recipe] | None = None

    def claim(self, recipe: Recipe) -> bool:
        """Notes a recipe as proposed; False where it was proposed before."""
        new = recipe.key not in self._seen
        self._seen.add(recipe.key)
        return new

    def draw(self) -> Drawn | Exhausted:
        """Returns a new recipe; where the space can be listed, every last one comes before `Exhausted`."""
        if self._rest is None:
            for _ in range(FRUITLESS):
                answers = RandomAnswers(self._generator)
                recipe = self._space.draw(answers)
                if self.claim(recipe):
                    return Drawn(recipe, answers.dials)
            listable = 0 <= self._space.count() <= LISTABLE
            self._rest = self._space.recipes() if listable else iter(())
        return next((Drawn(recipe) for recipe in self._rest if self.claim(recipe)), Exhausted())
