import pytest

from olivelike.contracts.space import Range, StepSpace
from olivelike.errors import InputError
from olivelike.plan.draw import TreeSpace
from olivelike.search.grid import Grid
from olivelike.testing.planted import as_chosen, planted_space
from olivelike.testing.strategy_contract import StrategyContract, judge


class TestGrid(StrategyContract):
    strategy = Grid
    most_regret = 0.0

    def test_the_order_is_that_of_the_space(self) -> None:
        assert self.drain(planted_space(), judge) == list(planted_space().recipes())


def test_a_continuous_range_is_refused_before_any_work() -> None:
    space = TreeSpace((StepSpace("step", "pass", free={"ratio": Range(0.0, 1.0)}),), as_chosen)
    with pytest.raises(InputError, match=r"OL114 search\.strategy: .* hint: give every range a step"):
        Grid(space, 0, 1, 10)
