"""The estimator: beside the contract, that it learns, from values, constraints and failures, and leaves Optuna quiet."""

import logging
from collections.abc import Callable
from statistics import mean
from typing import cast

import pytest

from olivelike.contracts.outcome import Measured, Refused
from olivelike.contracts.ports import Exhausted, Score
from olivelike.contracts.space import Choice, Domain, ForkSpace, Range, StepSpace
from olivelike.plan.draw import TreeSpace
from olivelike.search.random import Random
from olivelike.search.tpe import Tpe
from olivelike.testing.planted import as_chosen, planted_score, planted_space, regret
from olivelike.testing.strategy_contract import StrategyContract

DONE = Measured("", {})
REFUSED = Score((), {}, Refused("OL301: not this model"))


class TestTpe(StrategyContract):
    strategy = Tpe
    most_regret = 0.06  # it misses 0.02 in the mean of many seeds


def test_it_comes_nearer_to_the_planted_best_than_drawing_at_random() -> None:
    # Fixed seeds: 0.02 against 0.06 when this was written.
    learned = [regret(Tpe(planted_space(), seed, 1, 30), seed, 30) for seed in range(5)]
    drawn = [regret(Random(planted_space(), seed, 1, 30), seed, 30) for seed in range(5)]
    assert mean(learned) < mean(drawn)


def two_alternatives() -> TreeSpace:
    free: dict[str, Domain] = {"x": Range(0, 99, integer=True), "y": Choice(("a", "b", "c"))}
    chains = tuple((StepSpace(name, name, free=free),) for name in ("tame", "wild"))
    return TreeSpace((ForkSpace("fork", chains),), as_chosen)


def share_of_wild(score: Callable[[bool, float], Score], objectives: int = 1) -> float:
    """Returns how many of the last 20 of 40 proposals take `wild`, which has the better losses, mean over three seeds.

    Random draws take it half the time. When this was written the estimator did so in nine of ten where nothing was
    against it, in one of five where something was.
    """
    shares = []
    for seed in range(3):
        strategy = Tpe(two_alternatives(), seed, objectives, 40)
        took = []
        for _ in range(40):
            recipe = strategy.ask()
            assert not isinstance(recipe, Exhausted)
            (step,) = recipe.steps
            took.append(step.name == "wild")
            loss = abs(cast("int", step.config["x"]) - 30) / (200 if took[-1] else 100)
            strategy.tell(recipe, score(took[-1], loss))
        shares.append(mean(took[20:]))
    return mean(shares)


def violation(wild: bool) -> dict[str, float]:
    return {"accuracy": 0.2 if wild else -0.1}


def test_it_turns_towards_the_better_alternative() -> None:
    assert share_of_wild(lambda _, loss: Score((loss,), {}, DONE)) > 0.7


def test_it_turns_away_from_an_alternative_that_never_works() -> None:
    assert share_of_wild(lambda wild, loss: REFUSED if wild else Score((loss,), {}, DONE)) < 0.4


def test_it_turns_away_from_an_alternative_that_breaks_a_constraint() -> None:
    assert share_of_wild(lambda wild, loss: Score((loss,), violation(wild), DONE)) < 0.4


def test_it_turns_away_from_an_alternative_whose_objectives_were_not_measured_as_it_breaks_a_constraint() -> None:
    assert share_of_wild(lambda wild, loss: Score(() if wild else (loss,), violation(wild), DONE)) < 0.4


def test_without_objectives_it_learns_from_the_constraints_alone() -> None:
    assert share_of_wild(lambda wild, _: Score((), violation(wild), DONE), objectives=0) < 0.4


def test_several_objectives_are_weighed() -> None:
    assert share_of_wild(lambda _, loss: Score((loss, 2 * loss), {}, DONE), objectives=2) > 0.7


def test_a_continuous_and_a_logarithmic_range_are_searched() -> None:
    free: dict[str, Domain] = {
        "ratio": Range(0.0, 1.0),
        "block": Range(16, 4096, log=True, integer=True),
        "kind": Choice(("a", "b")),
    }
    strategy = Tpe(TreeSpace((StepSpace("step", "pass", free=free),), as_chosen), 0, 1, 60)
    best = 1.0
    for _ in range(60):
        recipe = strategy.ask()
        assert not isinstance(recipe, Exhausted)
        ratio, block = recipe.steps[0].config["ratio"], recipe.steps[0].config["block"]
        assert isinstance(ratio, float) and 0 <= ratio <= 1
        assert isinstance(block, int) and 16 <= block <= 4096
        loss = abs(ratio - 0.3)
        best = min(best, loss)
        strategy.tell(recipe, Score((loss,), {}, Measured("", {})))
    assert best < 0.02  # 60 evenly spread points would come as near as 0.008


def test_optuna_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    strategy = Tpe(planted_space(), 0, 1, 20)
    for _ in range(20):
        recipe = strategy.ask()
        assert not isinstance(recipe, Exhausted)
        strategy.tell(recipe, planted_score(recipe, 0))
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_a_level_that_the_user_set_for_optuna_is_kept() -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    try:
        optuna.logging.set_verbosity(logging.ERROR)
        Tpe(planted_space(), 0, 1, 20)
        assert optuna.logging.get_verbosity() == logging.ERROR
    finally:
        optuna.logging.set_verbosity(before)
