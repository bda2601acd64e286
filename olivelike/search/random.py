"""The strategy `random`: seeded, every question answered uniformly, no recipe twice."""

from __future__ import annotations

from olivelike.contracts.ports import Exhausted, RecipeSpace, Score, Strategy
from olivelike.contracts.recipe import Recipe
from olivelike.search.unseen import Unseen


class Random(Strategy):
    """Draws recipes at random.

    Every alternative of a fork is equally likely, however many recipes lie behind it. Memory grows with the recipes
    proposed, not with the space.
    """

    learns = False

    def __init__(self, space: RecipeSpace, seed: int, objectives: int, budget: int) -> None:
        self._unseen = Unseen(space, seed)

    def ask(self) -> Recipe | Exhausted:
        """Returns a recipe drawn at random."""
        drawn = self._unseen.draw()
        return drawn if isinstance(drawn, Exhausted) else drawn.recipe

    def tell(self, recipe: Recipe, score: Score) -> None:
        """Learns nothing."""
