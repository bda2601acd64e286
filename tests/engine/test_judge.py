"""Constraints are judged by the interval's worse end, and left open where the interval spans the bound."""

import pytest

from olivelike.contracts.outcome import Interval, Measurement, Paired
from olivelike.engine.judge import Holds, change, judge
from olivelike.evaluate.statistics.intervals import matched_difference_interval
from olivelike.plan.model import Constraint, Rule


def score(value: float, difference: tuple[float, float, float] | None = None) -> Measurement:
    if difference is None:
        return Measurement.exact(value, "1", "higher")
    return Measurement(value, "1", "higher", value, value, 100, Paired("difference", Interval(*difference)))


def time(value: float, ratio: tuple[float, float, float] | None = None, spread: float = 0.0) -> Measurement:
    low, high = value - spread, value + spread
    if ratio is None:
        return Measurement(value, "ms", "lower", low, high, 100)
    return Measurement(value, "ms", "lower", low, high, 100, Paired("ratio", Interval(*ratio)))


def holds(rule: Rule, amount: float, found: Measurement, base: Measurement, *, relative: bool = False) -> Holds:
    constraint = Constraint("m.v", rule, amount, relative, found.better, "m.v")
    return judge([constraint], {"m.v": found}, {"m.v": base})[0].holds


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        ((-0.002, -0.006, 0.002), Holds.YES),
        ((-0.008, -0.014, -0.002), Holds.OPEN),
        ((-0.03, -0.04, -0.02), Holds.NO),
        ((0.01, 0.005, 0.015), Holds.YES),
    ],
)
def test_a_drop_is_judged_by_the_paired_difference(difference: tuple[float, float, float], expected: Holds) -> None:
    assert holds(Rule.MAX_DROP, 0.01, score(0.9, difference), score(0.91)) is expected


def test_a_bound_that_is_met_exactly_holds() -> None:
    assert holds(Rule.MAX_DROP, 0.01, score(0.90), score(0.91)) is Holds.YES
    assert holds(Rule.AT_MOST, 5.0, time(5.0), time(9.0)) is Holds.YES
    assert holds(Rule.AT_LEAST, 0.9, score(0.9), score(0.9)) is Holds.YES


def test_without_an_interval_the_value_decides() -> None:
    assert holds(Rule.AT_MOST, 5.0, time(5.1), time(9.0)) is Holds.NO


def test_an_absolute_bound_looks_at_the_value_and_not_at_the_comparison() -> None:
    assert holds(Rule.AT_MOST, 5.0, time(4.9, (2.0, 1.9, 2.1), spread=0.5), time(2.4)) is Holds.OPEN


def test_a_relative_improvement_of_a_time_is_judged_by_the_paired_ratio() -> None:
    assert holds(Rule.MIN_IMPROVEMENT, 0.1, time(8.0, (0.8, 0.78, 0.82)), time(10.0), relative=True) is Holds.YES
    assert holds(Rule.MIN_IMPROVEMENT, 0.3, time(8.0, (0.8, 0.78, 0.82)), time(10.0), relative=True) is Holds.NO


def test_an_increase_is_bounded_in_the_metric_s_unit() -> None:
    assert holds(Rule.MAX_INCREASE, 1.0, time(12.0, (1.2, 1.18, 1.22)), time(10.0)) is Holds.NO
    assert holds(Rule.MAX_INCREASE, 3.0, time(12.0, (1.2, 1.18, 1.22)), time(10.0)) is Holds.YES


def test_intervals_that_were_not_paired_are_held_end_against_end() -> None:
    found = change(time(8.0, spread=1.0), time(10.0, spread=1.0), relative=False)
    assert (found.value, found.low, found.high) == (-2.0, -4.0, 0.0)


def test_the_baseline_against_itself_has_not_changed() -> None:
    base = time(10.0, spread=1.0)
    assert change(base, base, relative=True) == Interval(0.0, 0.0, 0.0)


def test_a_constraint_on_a_metric_that_was_not_measured_is_open() -> None:
    constraint = Constraint("m.v", Rule.AT_MOST, 1.0, False, "lower", "m.v at_most 1")
    assert judge([constraint], {}, {})[0].holds is Holds.OPEN


def test_no_change_has_no_sign() -> None:
    constraint = Constraint("size.bytes", Rule.MAX_DROP, 0.1, True, "higher", "size.bytes max_drop 10%")
    same = Measurement.exact(100, "bytes", "higher")
    [judgement] = judge([constraint], {"size.bytes": same}, {"size.bytes": same})
    assert judgement.text == "size.bytes max_drop 10%: got 0 %"


@pytest.mark.parametrize(
    ("gained", "lost", "n"),
    [(0, 0, 5), (0, 0, 100), (2, 2, 200), (5, 8, 500)],
)
def test_what_is_missing_is_what_the_interval_will_take(gained: int, lost: int, n: int) -> None:
    """With so many more samples and as many answers changed, in proportion, the drop is shown; with a fifth fewer it is not."""
    gap = matched_difference_interval(gained, lost, n)
    found = Measurement(0.9, "1", "higher", 0.8, 1.0, n, Paired("difference", gap))
    constraint = Constraint("m.v", Rule.MAX_DROP, 0.01, False, "higher", "m.v")
    [judgement] = judge([constraint], {"m.v": found}, {"m.v": score(0.9)})
    said = int(judgement.text.split("; about ")[1].split(" more samples")[0].replace(",", ""))

    def low(total: float) -> float:
        return matched_difference_interval(gained * total / n, lost * total / n, total).low

    assert low(1.05 * (n + said)) >= -0.01 > low(0.8 * (n + said))
    assert gained or said == pytest.approx(381 - n, rel=0.05), "381 samples show it where no answer changes"


def test_times_and_scores_that_are_no_shares_follow_the_root_of_the_sample_size() -> None:
    constraint = Constraint("m.v", Rule.AT_MOST, 5.0, False, "lower", "m.v")
    [judgement] = judge([constraint], {"m.v": time(4.9, spread=0.2)}, {})
    assert judgement.text.endswith("about 300 more runs would decide")  # four times 100
