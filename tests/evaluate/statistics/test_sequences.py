"""Validity under looking after every sample is simulated with a seed; a share of 400 has a standard error of about a point."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from olivelike.contracts.outcome import Interval
from olivelike.evaluate.statistics.intervals import proportion_interval
from olivelike.evaluate.statistics.sequences import bounded_mean_sequence

Draw = Callable[[np.random.Generator, int], "np.ndarray[tuple[int], np.dtype[np.float64]]"]


def ever_wrong(
    sequence: Callable[[list[float]], Interval], draw: Draw, truth: float, replicates: int, looks: list[int]
) -> int:
    """Returns in how many replicates some look has an interval that misses the truth."""
    wrong = 0
    for seed in range(replicates):
        samples = draw(np.random.default_rng(seed), max(looks)).tolist()
        found = (sequence(samples[:n]) for n in looks)
        wrong += any(not interval.low <= truth <= interval.high for interval in found)
    return wrong


LOOKS = [1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 160]
"""What was once ruled out stays so: the capital is the largest so far, after each sample. A dozen looks see all of them."""


@pytest.mark.parametrize(
    ("draw", "truth"),
    [
        (lambda generator, n: (generator.random(n) < 0.9).astype(float), 0.9),
        (lambda generator, n: (generator.random(n) < 0.5).astype(float), 0.5),
        (lambda generator, n: generator.beta(2, 5, n), 2 / 7),
    ],
)
def test_a_bounded_mean_stays_inside_however_often_one_looks(draw: Draw, truth: float) -> None:
    """At most 5 % of 100 replicates may ever miss it: 5 expected, 12 are above the 99.8 % quantile of the binomial."""
    wrong = ever_wrong(lambda samples: bounded_mean_sequence(samples, 0.0, 1.0), draw, truth, 100, LOOKS)
    assert wrong <= 12, wrong


def test_a_drop_stays_inside_however_often_one_looks() -> None:
    """Differences of matched samples: 4 % lost, 2 % gained, the rest equal."""

    def draw(generator: np.random.Generator, n: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return generator.choice([-1.0, 0.0, 1.0], n, p=[0.04, 0.94, 0.02])

    wrong = ever_wrong(
        lambda samples: bounded_mean_sequence(samples, -1.0, 1.0),
        draw,
        -0.02,
        100,
        [20, 40, 70, 100, 150, 200, 300, 400],
    )
    assert wrong <= 12, wrong


def test_an_ordinary_interval_would_not_survive_this() -> None:
    """The test has teeth: Wilson's interval, looked at as often, is wrong in far more than 5 %."""

    def wilson(samples: list[float]) -> Interval:
        return proportion_interval(int(sum(samples)), len(samples))

    wrong = ever_wrong(
        wilson, lambda generator, n: (generator.random(n) < 0.5).astype(float), 0.5, 200, list(range(1, 160))
    )
    assert wrong > 40, wrong


def test_it_narrows_as_samples_come() -> None:
    samples = (np.random.default_rng(0).random(4000) < 0.8).astype(float).tolist()
    widths = [found.high - found.low for n in (50, 500, 4000) for found in [bounded_mean_sequence(samples[:n], 0, 1)]]
    assert widths[0] > widths[1] > widths[2]
    assert widths[2] < 0.06, "Wilson's at one look is 0.025 wide; looking at any time costs about twice that"


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_equal_samples_leave_room_for_what_was_not_seen(value: float) -> None:
    few, many = (bounded_mean_sequence([value] * n, 0.0, 1.0) for n in (20, 2000))
    for found in (few, many):
        assert found.value == value
        assert found.low <= value <= found.high
        assert found.high - found.low > 0
    assert few.high - few.low > many.high - many.low


def test_samples_that_drift_are_no_ground_to_claim_anything() -> None:
    """Sorted by class: all right, then all wrong. After the first half every mean but 1 was ruled out, also the final 0.5."""
    assert bounded_mean_sequence([1.0] * 500 + [0.0] * 500, 0.0, 1.0) == Interval(0.5, 0.0, 1.0)
    assert bounded_mean_sequence([-1.0] * 500 + [0.0] * 500, -1.0, 1.0) == Interval(-0.5, -1.0, 1.0)


def test_a_single_sample_says_next_to_nothing() -> None:
    found = bounded_mean_sequence([1.0], 0.0, 1.0)
    assert found.value == 1
    assert found.low < 0.1


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-3, 5), min_size=1, max_size=60))
def test_the_value_is_the_mean_and_lies_inside_and_the_ends_inside_the_bounds(samples: list[float]) -> None:
    found = bounded_mean_sequence(samples, -3.0, 5.0)
    assert found.value == pytest.approx(float(np.mean(samples)), abs=1e-9)
    assert -3 - 1e-9 <= found.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high <= 5 + 1e-9


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 1), min_size=5, max_size=60))
def test_turning_the_scale_around_turns_the_interval_around(samples: list[int]) -> None:
    plain = bounded_mean_sequence([float(s) for s in samples], 0.0, 1.0)
    turned = bounded_mean_sequence([1.0 - s for s in samples], 0.0, 1.0)
    assert (turned.low, turned.high) == pytest.approx((1 - plain.high, 1 - plain.low), abs=1e-6)
