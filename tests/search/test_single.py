from olivelike.contracts.ports import Exhausted
from olivelike.contracts.space import Range, StepSpace
from olivelike.plan.draw import TreeSpace
from olivelike.search.single import Single
from olivelike.testing.planted import as_chosen, planted_space
from olivelike.testing.strategy_contract import StrategyContract


class TestSingle(StrategyContract):
    strategy = Single
    complete = False


def test_the_one_recipe_has_the_first_of_everything() -> None:
    recipe = Single(planted_space(), 0, 1, 1).ask()
    assert recipe == next(planted_space().recipes())


def test_a_range_begins_at_its_low_end_even_if_it_is_continuous() -> None:
    free = {"ratio": Range(0.25, 1.0), "block": Range(16, 256, log=True, integer=True), "threads": Range(2, 8, step=2)}
    recipe = Single(TreeSpace((StepSpace("step", "pass", free=free),), as_chosen), 0, 1, 1).ask()
    assert not isinstance(recipe, Exhausted)
    assert recipe.steps[0].config == {"ratio": 0.25, "block": 16, "threads": 2}
