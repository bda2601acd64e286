"""The strategy `auto`: everything where the budget suffices for it, else the tree-structured Parzen estimator."""

from __future__ import annotations

from olivelike.contracts.ports import Exhausted, RecipeSpace, Score, Strategy
from olivelike.contracts.recipe import Recipe
from olivelike.search.grid import Grid
from olivelike.search.tpe import Tpe


class Auto(Strategy):
    """Is `grid` where the ways of answering can be counted and are at most the budget, else `tpe`."""

    def __init__(self, space: RecipeSpace, seed: int, objectives: int, budget: int) -> None:
        kind: type[Strategy] = Grid if 0 <= space.count() <= budget else Tpe
        self._inner = kind(space, seed, objectives, budget)
        self.learns = self._inner.learns

    def ask(self) -> Recipe | Exhausted:
        """Returns what the strategy taken proposes."""
        return self._inner.ask()

    def tell(self, recipe: Recipe, score: Score) -> None:
        """Hands the score on to the strategy taken."""
        self._inner.tell(recipe, score)
