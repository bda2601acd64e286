from olivelike.contracts.ports import Exhausted
from olivelike.contracts.space import Range, StepSpace
from olivelike.plan.draw import TreeSpace
from olivelike.search.auto import Auto
from olivelike.search.tpe import Tpe
from olivelike.testing.planted import as_chosen, planted_space
from olivelike.testing.strategy_contract import StrategyContract, judge


class TestAuto(StrategyContract):
    strategy = Auto

    def test_a_space_within_the_budget_is_gone_through_in_its_order(self) -> None:
        assert self.drain(planted_space(), judge, most=192) == list(planted_space().recipes())

    def test_a_larger_space_is_searched_by_the_estimator(self) -> None:
        strategy = Tpe(planted_space(), 0, 1, 191)
        first = [strategy.ask() for _ in range(10)]
        auto = Auto(planted_space(), 0, 1, 191)
        assert [auto.ask() for _ in range(10)] == first


def test_a_continuous_space_is_searched_by_the_estimator() -> None:
    space = TreeSpace((StepSpace("step", "pass", free={"ratio": Range(0.0, 1.0)}),), as_chosen)
    assert not isinstance(Auto(space, 0, 1, 10).ask(), Exhausted)
