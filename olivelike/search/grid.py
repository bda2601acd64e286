"""The strategy `grid`: every recipe of the space, in its order."""

from __future__ import annotations

from olivelike.contracts.ports import Exhausted, RecipeSpace, Score, Strategy
from olivelike.contracts.recipe import Recipe
from olivelike.errors import InputError, fail


class Grid(Strategy):
    """Goes through all recipes; neighbours share their first steps.

    Raises:
        InputError: OL114, a range is continuous.
    """

    learns = False

    def __init__(self, space: RecipeSpace, seed: int, objectives: int, budget: int) -> None:
        if space.count() < 0:
            claim = "the strategy grid cannot go through a continuous range"
            hint = "give every range a step, or use the strategy tpe or random"
            raise fail(InputError, "OL114", claim, path="search.strategy", hint=hint)
        self._recipes = space.recipes()

    def ask(self) -> Recipe | Exhausted:
        """Returns the next recipe."""
        return next(self._recipes, Exhausted())

    def tell(self, recipe: Recipe, score: Score) -> None:
        """Learns nothing."""
