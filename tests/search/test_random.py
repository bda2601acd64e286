from collections import Counter

from olivelike.contracts.ports import Exhausted
from olivelike.contracts.space import Choice, ForkSpace, Range, StepSpace
from olivelike.plan.draw import TreeSpace
from olivelike.search.random import Random
from olivelike.testing.planted import as_chosen, planted_space
from olivelike.testing.strategy_contract import StrategyContract, judge


class TestRandom(StrategyContract):
    strategy = Random
    most_regret = 0.15  # it misses 0.05 in the mean of many seeds

    def test_other_seeds_give_other_proposals(self) -> None:
        first, second = (self.drain(planted_space(), judge, seed=seed, most=10) for seed in (0, 1))
        assert first != second

    def test_a_recipe_behind_one_answer_in_a_hundred_thousand_is_proposed_before_the_end(self) -> None:
        deep = tuple(StepSpace(f"s{number}", "pass", free={"x": Choice(tuple(range(10)))}) for number in range(2))
        space = TreeSpace((ForkSpace("f", (*(() for _ in range(99)), deep)),), as_chosen)
        assert len(self.drain(space, judge)) == 101


def configs(free: dict[str, Range | Choice], draws: int) -> list[dict[str, object]]:
    strategy = Random(TreeSpace((StepSpace("step", "pass", free=free),), as_chosen), 0, 1, draws)
    recipes = [strategy.ask() for _ in range(draws)]
    return [dict(recipe.steps[0].config) for recipe in recipes if not isinstance(recipe, Exhausted)]


def test_every_alternative_of_a_fork_is_equally_likely_however_much_lies_behind_it() -> None:
    many = StepSpace("many", "many", free={"x": Range(1, 10**6, integer=True)})
    more = StepSpace("more", "more", free={"x": Range(1, 10**9, integer=True)})
    strategy = Random(TreeSpace((ForkSpace("f", ((many,), (more,))),), as_chosen), 0, 1, 400)
    counts = Counter(str(strategy.ask()) for _ in range(400))
    assert 160 < counts["many"] < 240  # four standard deviations of a fair coin


def test_a_continuous_range_is_drawn_from_end_to_end() -> None:
    values = [config["x"] for config in configs({"x": Range(0.5, 1.5)}, 200)]
    assert all(isinstance(value, float) and 0.5 <= value <= 1.5 for value in values)
    assert len(set(values)) == 200
    assert min(map(float, map(str, values))) < 0.6
    assert max(map(float, map(str, values))) > 1.4


def test_a_logarithmic_range_is_drawn_by_ratio() -> None:
    values = [config["x"] for config in configs({"x": Range(1, 10**8, log=True, integer=True)}, 400)]
    below = sum(1 for value in values if isinstance(value, int) and value < 10**4)
    # The few smallest numbers come up again and are not proposed twice: somewhat fewer than half lie below the middle.
    assert 120 < below < 240
    real = [config["x"] for config in configs({"x": Range(1e-4, 1e4, log=True)}, 400)]
    assert 160 < sum(1 for value in real if isinstance(value, float) and value < 1) < 240


def test_a_stepped_range_gives_only_its_own_values() -> None:
    values = {config["x"] for config in configs({"x": Range(0, 1, step=0.25)}, 10)}
    assert values == {0, 0.25, 0.5, 0.75, 1.0}
