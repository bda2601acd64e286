"""Why a candidate was chosen, in words that need no second reading."""

from __future__ import annotations

from collections.abc import Sequence

from olivelike.contracts.outcome import Interval, Measurement, Paired
from olivelike.contracts.recipe import Recipe
from olivelike.engine.candidate import BASELINE, Candidate
from olivelike.engine.select import Selection, select
from olivelike.plan.model import Constraint, Objective, Rule

FASTEST = Objective("latency.p50", minimize=True)
HOLDS = Constraint("latency.p50", Rule.AT_MOST, 100.0, relative=False, better="lower", text="latency.p50 at_most 100")


def candidate(trial: int, low: float, high: float, size: int) -> Candidate:
    middle = (low + high) / 2
    return Candidate(
        trial,
        Recipe(),
        str(trial),
        "onnx",
        size,
        {"latency.p50": Measurement(middle, "ms", "lower", low, high, 9)},
        True,
    )


def chosen(*candidates: Candidate, objectives: Sequence[Objective] = (FASTEST,)) -> Selection:
    return select(candidates, {}, [HOLDS], objectives)


def test_a_clear_winner_is_told_with_its_figures() -> None:
    assert chosen(candidate(0, 1, 2, 5), candidate(1, 3, 4, 4)).why == "lowest latency.p50: 1.50 ms [1.00, 2.00]"


def test_candidates_that_cannot_be_told_apart_are_named_with_what_decides() -> None:
    found = chosen(candidate(BASELINE, 1, 4, 9), candidate(0, 1, 2, 5), candidate(1, 1, 3, 4))
    assert found.why == (
        "lowest latency.p50: the baseline and trials 0 and 1 cannot be told apart; "
        "trial 1 is the smallest of them (4 bytes, the next has 5)"
    )
    assert found.verdicts[0] == "ties with trial 1; trial 1 is smaller (4 against 5 bytes)"


def test_times_that_differ_by_less_than_one_percent_are_told_so() -> None:
    ratios = [Interval(0.53, 0.53, 0.53), Interval(0.532, 0.532, 0.532)]
    timed = [Measurement(1, "ms", "lower", 1, 1, 9, Paired("ratio", ratio)) for ratio in ratios]
    pair = [
        Candidate(n, Recipe(), str(n), "onnx", 5 - n, {"latency.p50": found}, True) for n, found in enumerate(timed)
    ]
    told = "trials 0 and 1 cannot be told apart (their intervals overlap, or come within 1%); trial 1 is the smallest"
    assert told in chosen(*pair).why


def test_a_tolerance_is_named_where_one_was_given() -> None:
    found = chosen(candidate(0, 1, 2, 5), candidate(1, 3, 4, 4), objectives=[Objective("latency.p50", True, 5.0)])
    assert "trials 0 and 1 are as good within the tolerance" in found.why


def test_without_an_objective_the_constraints_and_the_size_decide() -> None:
    found = chosen(candidate(0, 1, 2, 5), candidate(1, 3, 4, 4), objectives=[])
    assert found.why.startswith("trials 0 and 1 hold every constraint; trial 1 is the smallest of them")
    assert found.verdicts[0] == "holds too, as does trial 1; trial 1 is smaller (4 against 5 bytes)"
    alone = chosen(candidate(0, 1, 2, 5), candidate(1, 300, 400, 4), objectives=[])
    assert alone.why == "the only one that holds every constraint"
