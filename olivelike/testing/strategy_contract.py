"""The conformance suite of search strategies: subclass `StrategyContract` in a test module and name the class under test."""

# ruff: noqa: D102 - the names of the tests are sentences

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from math import inf, nan
from statistics import mean
from typing import ClassVar, TypeAlias

from olivelike.contracts.outcome import Failed, Measured, Refused
from olivelike.contracts.ports import Exhausted, RecipeSpace, Score, Strategy
from olivelike.contracts.recipe import Recipe
from olivelike.contracts.space import Choice, ForkSpace, Range, StepSpace
from olivelike.plan.draw import TreeSpace
from olivelike.testing.planted import as_chosen, planted_score, planted_space, regret

Judge: TypeAlias = Callable[[Recipe], Score]

DONE = Measured("0" * 64, {})
SMALL_LIMIT = 200
SEEDS = range(3)


class StrategyContract:
    """What every strategy must do.

    Attributes:
        strategy: the class under test.
        complete: whether it proposes every recipe of a countable space before it ends.
        most_regret: what it may miss of the best of 192 planted recipes within 40 trials, mean over three seeds; 0 is
            the best recipe, 1 the worst, and infinity claims nothing.
    """

    strategy: ClassVar[type[Strategy]]
    complete: ClassVar[bool] = True
    most_regret: ClassVar[float] = inf

    def test_no_recipe_is_proposed_twice_and_the_strategy_ends(self) -> None:
        keys = [recipe.key for recipe in self.drain(small_space(), judge)]
        assert len(keys) == len(set(keys))
        assert 1 <= len(keys) < SMALL_LIMIT

    def test_every_proposal_is_a_recipe_of_the_space(self) -> None:
        known = {recipe.key for recipe in small_space().recipes()}
        proposed = {recipe.key for recipe in self.drain(small_space(), judge)}
        assert proposed == known if self.complete else proposed < known

    def test_a_space_without_a_choice_has_one_proposal(self) -> None:
        assert [recipe.steps for recipe in self.drain(TreeSpace((), as_chosen), judge)] == [()]

    def test_an_exhausted_strategy_stays_exhausted(self) -> None:
        strategy = self.strategy(small_space(), 0, 1, SMALL_LIMIT)
        while not isinstance(recipe := strategy.ask(), Exhausted):
            strategy.tell(recipe, judge(recipe))
        assert isinstance(strategy.ask(), Exhausted)

    def test_equal_seeds_and_answers_give_equal_proposals(self) -> None:
        first, second = (self.drain(planted_space(), judge, seed=7, most=40) for _ in range(2))
        assert [recipe.key for recipe in first] == [recipe.key for recipe in second]

    def test_any_seed_is_taken(self) -> None:
        for seed in (0, 2**32, 2**63 + 1):
            assert self.drain(small_space(), judge, seed=seed, most=3)

    def test_failing_trials_do_not_stop_the_search(self) -> None:
        assert len(self.drain(small_space(), failing(0.3))) == len(self.drain(small_space(), judge))

    def test_a_search_in_which_nothing_works_ends(self) -> None:
        assert len(self.drain(small_space(), failing(1.0))) == len(self.drain(small_space(), judge))

    def test_several_trials_may_be_in_flight_and_end_in_any_order(self) -> None:
        strategy = self.strategy(small_space(), 0, 1, SMALL_LIMIT)
        proposed: list[Recipe] = []
        while True:
            asked = [strategy.ask() for _ in range(4)]
            flying = [recipe for recipe in asked if not isinstance(recipe, Exhausted)]
            if not flying:
                break
            for recipe in reversed(flying):
                strategy.tell(recipe, judge(recipe))
            proposed += flying
        keys = [recipe.key for recipe in proposed]
        assert len(keys) == len(set(keys)) == len(self.drain(small_space(), judge))

    def test_any_number_of_objectives_is_taken(self) -> None:
        for objectives in (0, 1, 3):

            def scored(recipe: Recipe, count: int = objectives) -> Score:
                return Score(tuple(float(len(recipe.key) + number) for number in range(count)), {}, DONE)

            assert self.drain(small_space(), scored, objectives=objectives)

    def test_missing_values_and_broken_constraints_are_taken(self) -> None:
        odd = [
            Score((), {}, DONE),
            Score((), {"accuracy": 0.5}, DONE),
            Score((nan,), {"accuracy": nan}, DONE),
            Score((inf,), {"accuracy": inf, "size": -inf}, DONE),
            Score((1.0,), {"accuracy": -0.1, "size": 2.0}, DONE),
        ]
        told = iter(odd * SMALL_LIMIT)
        assert len(self.drain(small_space(), lambda _: next(told))) == len(self.drain(small_space(), judge))

    def test_a_space_of_a_billion_recipes_takes_no_memory(self) -> None:
        choices = {f"p{number}": Choice(tuple(range(10))) for number in range(9)}
        space = TreeSpace((StepSpace("step", "pass", free=choices),), as_chosen)
        self.drain(space, judge, most=3)  # imports are no part of it
        tracemalloc.start()
        try:
            self.drain(space, judge, most=3)
            assert tracemalloc.get_traced_memory()[1] < 4 << 20
        finally:
            tracemalloc.stop()

    def test_the_planted_best_recipe_is_found_or_nearly(self) -> None:
        if self.most_regret == inf:
            import pytest

            pytest.skip(f"{self.strategy.__name__} claims nothing about how near it comes")
        trials = planted_space().count() if self.most_regret == 0 else 40
        missed = [regret(self.strategy(planted_space(), seed, 1, trials), seed, trials) for seed in SEEDS]
        assert mean(missed) <= self.most_regret, missed

    def drain(
        self, space: RecipeSpace, judge: Judge, *, seed: int = 0, objectives: int = 1, most: int = SMALL_LIMIT
    ) -> list[Recipe]:
        """Returns what a strategy proposes until it ends, at most so many recipes."""
        strategy = self.strategy(space, seed, objectives, most)
        proposed: list[Recipe] = []
        while len(proposed) < most and not isinstance(recipe := strategy.ask(), Exhausted):
            strategy.tell(recipe, judge(recipe))
            proposed.append(recipe)
        return proposed


def small_space() -> TreeSpace:
    """Returns a space with all there is: nesting, a condition, ranges, and different answers that give equal recipes."""
    twins = tuple((StepSpace(name, "twin", free={"x": Choice((1, True, None))}),) for name in ("one", "other"))
    nested = (StepSpace("before", "before"), ForkSpace("inner", (*twins, ())))
    tune = StepSpace("tune", "tune", free={"t": Range(1, 4, integer=True, log=True)}, when={"outer": ("before",)})
    return TreeSpace((ForkSpace("outer", (nested, (), (StepSpace("last", "last"),))), tune), as_chosen)


def judge(recipe: Recipe) -> Score:
    """Scores a recipe as the planted problem does."""
    return planted_score(recipe, 0)


def failing(share: float) -> Judge:
    """Returns a judge for whom a share of all recipes is refused or fails."""

    def judged(recipe: Recipe) -> Score:
        draw = random.Random(recipe.key).random()
        if draw >= share:
            return planted_score(recipe, 0)
        return Score((), {}, Refused("OL301: not this model") if draw < share / 2 else Failed("OL501: the worker died"))

    return judged
