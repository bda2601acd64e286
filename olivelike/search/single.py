"""The strategy `single`: one recipe, with the first of every choice."""

from __future__ import annotations

from olivelike.contracts.ports import Exhausted, RecipeSpace, Score, Strategy
from olivelike.contracts.recipe import Recipe
from olivelike.search.answers import FirstAnswers


class Single(Strategy):
    """Proposes the recipe of all first values and first alternatives, and nothing else."""

    learns = False

    def __init__(self, space: RecipeSpace, seed: int, objectives: int, budget: int) -> None:
        self._left = [space.draw(FirstAnswers())]

    def ask(self) -> Recipe | Exhausted:
        """Returns the one recipe, then that there is none."""
        return self._left.pop() if self._left else Exhausted()

    def tell(self, recipe: Recipe, score: Score) -> None:
        """Learns nothing."""
