"""What a worker knows of what a candidate is held against: the same verdicts as in the engine, after a trip through JSON."""

from __future__ import annotations

import json
from math import inf

import pytest

from olivelike.contracts.metric import Prospect
from olivelike.contracts.outcome import Interval, Measurement, Paired
from olivelike.contracts.recipe import Recipe
from olivelike.engine.candidate import Candidate
from olivelike.engine.goals import Goals
from olivelike.plan.model import Constraint, Objective, Rule

DROP = Constraint("accuracy.top1", Rule.MAX_DROP, 0.01, False, "higher", "accuracy.top1 max_drop 0.01")
FAST = Objective("latency.p50", minimize=True)


def accuracy(drop: float, half: float) -> Measurement:
    gap = Paired("difference", Interval(-drop, -drop - half, -drop + half))
    return Measurement(0.9 - drop, "1", "higher", 0.8, 1.0, 1000, gap)


def latency(ratio: float, half: float = 0.001) -> Measurement:
    compared = Paired("ratio", Interval(ratio, ratio - half, ratio + half))
    return Measurement(10 * ratio, "ms", "lower", 9 * ratio, 11 * ratio, 100, compared)


def goals(**changed: object) -> Goals:
    rival = Candidate(3, Recipe(), "", "", 0, {"latency.p50": latency(0.5)}, True)
    known: dict[str, object] = {
        "constraints": (DROP,),
        "objectives": (FAST,),
        "baseline": {"accuracy.top1": accuracy(0, 0)},
        "rivals": (rival,),
        "seconds": 12.5,
    }
    return Goals(**{**known, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("drop", "half", "prospect"),
    [(0.002, 0.001, Prospect.CLEAR), (0.002, 0.01, Prospect.OPEN), (0.03, 0.001, Prospect.OUT)],
)
def test_intervals_decide_the_prospect(drop: float, half: float, prospect: Prospect) -> None:
    travelled = Goals.from_json(json.loads(json.dumps(goals().to_json())))
    for each in (goals(), travelled):
        assert each.prospect({"accuracy.top1": accuracy(drop, half)}) is prospect
    assert travelled.to_json() == goals().to_json()


def test_a_candidate_shown_slower_than_a_rival_on_every_objective_is_out() -> None:
    assert goals().prospect({"latency.p50": latency(0.6)}) is Prospect.OUT
    assert goals().hopeless({"latency.p50": latency(0.6)}) == "latency.p50: shown worse than trial 3"
    assert goals().prospect({"latency.p50": latency(0.502)}) is Prospect.CLEAR


def test_the_first_trial_is_a_rival_like_any_other() -> None:
    rival = Candidate(0, Recipe(), "", "", 0, {"latency.p50": latency(0.5)}, True)
    assert goals(rivals=(rival,)).hopeless({"latency.p50": latency(0.6)}) == "latency.p50: shown worse than trial 0"


def test_what_was_known_before_counts_too() -> None:
    before = goals(known={"latency.p50": latency(0.6)})
    assert before.prospect({"accuracy.top1": accuracy(0, 0.001)}) is Prospect.OUT


def test_a_constraint_on_what_is_not_measured_yet_leaves_nothing_open() -> None:
    assert goals().prospect({"latency.p50": latency(0.4)}) is Prospect.CLEAR


def test_nothing_is_hopeless_where_all_is_to_be_measured() -> None:
    assert not goals(prunes=False).hopeless({"latency.p50": latency(9.0), "accuracy.top1": accuracy(0.5, 0)})


def test_no_goals_hold_nothing_against_anybody() -> None:
    assert Goals.from_json({}) == Goals()
    assert Goals().prospect({"latency.p50": latency(99)}) is Prospect.CLEAR
    assert Goals().seconds == inf
