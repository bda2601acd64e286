"""Selection: constraints first, then objectives in order, then the smaller, the shorter, the canonical order."""

import itertools
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from olivelike.contracts.outcome import Interval, Measurement, Paired
from olivelike.contracts.recipe import Recipe, RecipeStep
from olivelike.contracts.report import Status
from olivelike.engine.candidate import BASELINE, Candidate
from olivelike.engine.select import is_behind, pareto, select
from olivelike.plan.model import Constraint, Objective, Rule

FAST = Objective("latency.p50", minimize=True)
SMALL = Objective("size.bytes", minimize=True)
ACCURATE = Constraint("accuracy.top1", Rule.MAX_DROP, 0.01, False, "higher", "accuracy.top1 max_drop 0.01")


def candidate(
    trial: int,
    ratio: float,
    *,
    spread: float = 0.0,
    drop: float = 0.0,
    size: int = 100,
    steps: int = 1,
    kind: str = "onnx",
) -> Candidate:
    interval = Interval(ratio, ratio - spread, ratio + spread)
    metrics = {
        "latency.p50": Measurement(10 * ratio, "ms", "lower", 9 * ratio, 11 * ratio, 100, Paired("ratio", interval)),
        "accuracy.top1": Measurement(
            0.9 - drop,
            "1",
            "higher",
            0.89 - drop,
            0.91 - drop,
            1000,
            Paired("difference", Interval(-drop, -drop, -drop)),
        ),
        "size.bytes": Measurement.exact(size, "bytes", "lower"),
    }
    recipe = Recipe(tuple(RecipeStep(f"s{i}", f"pass{trial}", {}) for i in range(steps)))
    return Candidate(trial, recipe, f"digest{trial}", kind, size, metrics, True)


def baseline() -> Candidate:
    metrics = {
        "latency.p50": Measurement(10.0, "ms", "lower", 9.0, 11.0, 100),
        "accuracy.top1": Measurement(0.9, "1", "higher", 0.89, 0.91, 1000),
        "size.bytes": Measurement.exact(400, "bytes", "lower"),
    }
    return Candidate(BASELINE, Recipe(), "input", "onnx", 400, metrics, True)


def winner(*candidates: Candidate, objectives: tuple[Objective, ...] = (FAST,)) -> int:
    base = baseline()
    found = select([*candidates, base], base.metrics, [ACCURATE], objectives, "onnx")
    assert found.status is Status.FEASIBLE
    return found.ranked[0].trial


def test_the_fastest_that_holds_the_constraints_wins() -> None:
    assert winner(candidate(0, 0.5, drop=0.02), candidate(1, 0.7), candidate(2, 0.8)) == 1


def test_candidates_whose_intervals_meet_tie_and_the_smaller_wins() -> None:
    assert winner(candidate(0, 0.50, spread=0.03, size=120), candidate(1, 0.53, spread=0.03, size=100)) == 1


def test_times_less_than_a_percent_apart_are_no_difference() -> None:
    assert winner(candidate(0, 0.500, size=120), candidate(1, 0.504, size=100)) == 1
    assert winner(candidate(0, 0.500, size=120), candidate(1, 0.515, size=100)) == 0


def test_at_equal_size_the_shorter_recipe_wins_and_then_the_canonical_order() -> None:
    assert winner(candidate(0, 0.5, steps=2), candidate(1, 0.5, steps=1)) == 1
    assert winner(candidate(1, 0.5), candidate(0, 0.5)) == 0


def test_the_baseline_wins_when_nothing_beats_it() -> None:
    assert winner(candidate(0, 1.2, size=100), candidate(1, 1.5, size=50)) == BASELINE


def test_a_candidate_without_the_metric_never_wins() -> None:
    good = candidate(0, 0.9)
    partial = Candidate(1, good.recipe, "d", "onnx", 1, {"size.bytes": good.metrics["size.bytes"]}, False)
    assert winner(good, partial) == 0


def test_only_an_artifact_of_the_kind_asked_for_can_win() -> None:
    assert winner(candidate(0, 0.2, kind="hf"), candidate(1, 0.9)) == 1


def test_the_second_objective_decides_between_ties_of_the_first() -> None:
    one, two = candidate(0, 0.5, spread=0.1, size=90), candidate(1, 0.45, spread=0.1, size=95)
    assert winner(one, two, objectives=(FAST, SMALL)) == 0


def test_a_tolerance_lets_the_slower_but_smaller_one_win() -> None:
    tolerant = Objective("latency.p50", minimize=True, within=0.2, within_relative=True)
    assert winner(candidate(0, 0.5, size=120), candidate(1, 0.55, size=100), objectives=(tolerant,)) == 1


def test_when_all_are_broken_the_closest_is_named_with_what_it_misses() -> None:
    base = baseline()
    strict = Constraint("latency.p50", Rule.AT_MOST, 1.0, False, "lower", "latency.p50 at_most 1")
    found = select([candidate(0, 0.5), candidate(1, 0.3), base], base.metrics, [strict], [FAST], "onnx")
    assert found.status is Status.INFEASIBLE
    assert found.ranked[0].trial == 1
    assert "latency.p50 at_most 1" in found.why


def test_the_closest_is_named_by_what_is_known_where_the_rest_was_not_measured() -> None:
    base = baseline()
    strict = Constraint("latency.p50", Rule.AT_MOST, 1.0, False, "lower", "latency.p50 at_most 1")
    unknown = Constraint("memory.peak", Rule.AT_MOST, 1.0, False, "lower", "memory.peak at_most 1")
    far, near = candidate(0, 0.5, size=1), candidate(1, 0.3)
    found = select([far, near, base], base.metrics, [strict, unknown], [FAST], "onnx")
    assert found.ranked[0].trial == 1


def test_an_open_constraint_makes_the_run_undecided_and_not_infeasible() -> None:
    base = baseline()
    strict = Constraint("latency.p50", Rule.AT_MOST, 5.0, False, "lower", "latency.p50 at_most 5")
    found = select([candidate(0, 0.5), base], base.metrics, [strict], [FAST], "onnx")
    assert found.status is Status.UNDECIDED


def unsure(trial: int, ratio: float, *, size: int = 100) -> Candidate:
    """A candidate of which it is open whether it loses a point of accuracy."""
    sure = candidate(trial, ratio, size=size)
    accuracy = replace(sure.metrics["accuracy.top1"], versus=Paired("difference", Interval(-0.005, -0.02, 0.01)))
    return replace(sure, metrics={**sure.metrics, "accuracy.top1": accuracy})


def test_a_candidate_that_would_win_and_is_undecided_makes_the_run_undecided() -> None:
    base = baseline()
    found = select([unsure(0, 0.5), candidate(1, 1.5), base], base.metrics, [ACCURATE], [FAST], "onnx")
    assert (found.status, found.ranked[0].trial) == (Status.UNDECIDED, 0)
    assert "trial 0 would win if it held every constraint, and is undecided: accuracy.top1 max_drop 0.01" in found.why


def test_an_undecided_candidate_that_could_not_win_leaves_the_baseline_the_winner() -> None:
    base = baseline()
    found = select([unsure(0, 1.5), base], base.metrics, [ACCURATE], [FAST], "onnx")
    assert (found.status, found.ranked[0].trial) == (Status.FEASIBLE, BASELINE)


def test_an_undecided_candidate_does_not_take_the_place_of_one_that_holds_everything() -> None:
    assert winner(unsure(0, 0.5), candidate(1, 0.7)) == 1


def test_there_is_always_a_reason() -> None:
    base = baseline()
    found = select([candidate(0, 0.5)], base.metrics, [ACCURATE], [], "onnx")
    assert (found.status, found.why) == (Status.FEASIBLE, "the only one that holds every constraint")


def test_the_pareto_set_holds_what_no_other_beats_everywhere() -> None:
    ranked = [candidate(0, 0.5, size=100), candidate(1, 0.7, size=50), candidate(2, 0.8, size=120)]
    assert [c.trial for c in pareto(ranked, [FAST, SMALL], [])] == [0, 1]


places = st.tuples(
    st.floats(0.2, 2.0),
    st.floats(0.0, 0.05),
    st.sampled_from([0.0, 0.005, 0.02]),
    st.integers(50, 60),
    st.integers(1, 3),
)


@given(st.lists(places, min_size=1, max_size=5), st.randoms())
def test_the_winner_does_not_depend_on_the_order_of_the_trials(
    rows: list[tuple[float, float, float, int, int]], rng
) -> None:  # type: ignore[no-untyped-def]
    candidates = [
        candidate(i, ratio, spread=spread, drop=drop, size=size, steps=steps)
        for i, (ratio, spread, drop, size, steps) in enumerate(rows)
    ]
    shuffled = candidates[:]
    rng.shuffle(shuffled)
    assert winner(*candidates) == winner(*shuffled)


@given(st.lists(places, min_size=1, max_size=5), st.sampled_from([0.0, 0.1]))
def test_who_is_beaten_by_a_feasible_rival_never_wins(
    rows: list[tuple[float, float, float, int, int]], within: float
) -> None:
    objective = Objective("latency.p50", minimize=True, within=within, within_relative=True)
    field = [candidate(i, r, spread=s, drop=d, size=z, steps=n) for i, (r, s, d, z, n) in enumerate(rows)]
    chosen = winner(*field, objectives=(objective,))
    feasible = [c for c, row in zip(field, rows, strict=True) if row[2] <= 0.01] + [baseline()]
    best = next(c for c in [*field, baseline()] if c.trial == chosen)
    assert not any(is_behind(objective, best, rival) for rival in feasible if rival is not best)


@given(st.lists(places, min_size=1, max_size=4))
def test_the_winner_holds_every_constraint_and_is_not_shown_slower_than_the_baseline(
    rows: list[tuple[float, float, float, int, int]],
) -> None:
    candidates = [candidate(i, r, spread=s, drop=d, size=z, steps=n) for i, (r, s, d, z, n) in enumerate(rows)]
    chosen = winner(*candidates)
    if chosen == BASELINE:
        return
    ratio, spread, drop, _, _ = rows[chosen]
    assert drop <= 0.01
    assert ratio - spread <= 1.0 * 1.01


def test_selection_is_the_same_for_every_permutation_of_a_tied_field() -> None:
    field = [candidate(i, 0.5 + 0.01 * i, spread=0.02, size=100 - i) for i in range(4)]
    assert len({winner(*order) for order in itertools.permutations(field)}) == 1
