"""Tests of ranges: known answers for min-max, percentile and entropy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from olivelike_passes.quantization.ranges import BINS, Method, Observed, Range, Rule


def seen(method: Method, *batches: NDArray[np.float32], percentile: float = 99.999) -> Observed:
    observed = Observed(Rule(method, percentile))
    for batch in batches:
        observed.see(batch)
    return observed


def ranged(method: Method, *batches: NDArray[np.float32], percentile: float = 99.999) -> Range:
    return seen(method, *batches, percentile=percentile).range()


def normal(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(count).astype(np.float32)


def test_minmax_is_the_extremes_of_all_batches() -> None:
    assert ranged("minmax", np.float32([1, 2]), np.float32([-3, 0.5])) == (-3.0, 2.0)


def test_what_is_not_finite_is_left_out() -> None:
    assert ranged("minmax", np.float32([-np.inf, 1, np.nan, 2])) == (1.0, 2.0)


def test_nothing_seen_is_an_empty_range_at_zero() -> None:
    assert ranged("entropy", np.float32([])) == (0.0, 0.0)


def test_percentile_cuts_the_outlier_off() -> None:
    values = np.append(np.linspace(0, 1, 9999, dtype=np.float32), np.float32(100))
    low, high = ranged("percentile", values, percentile=99.9)
    assert low == 0
    assert 0.998 < high < 1.008  # the end of a bin, which is 1/128 wide


def test_moving_average_is_the_mean_of_the_batches_extremes() -> None:
    assert ranged("moving_average", np.float32([1, 2]), np.float32([-3, 0])) == (-1.0, 1.0)


def test_zeros_alone_are_a_range_at_zero() -> None:
    methods: tuple[Method, ...] = ("minmax", "moving_average", "percentile", "entropy", "mse")
    assert {ranged(method, np.zeros(100, np.float32)) for method in methods} == {(0.0, 0.0)}


def test_percentile_of_100_is_the_extremes() -> None:
    values = normal(1000)
    assert ranged("percentile", values, percentile=100) == pytest.approx(ranged("minmax", values))


def test_entropy_keeps_an_even_distribution_whole() -> None:
    values = np.linspace(0, 1, 50_000, dtype=np.float32)
    assert ranged("entropy", values)[1] > 0.99


def test_entropy_cuts_far_outliers_off() -> None:
    # 8 bits over [-100, 100] would leave four levels for the bulk of the values.
    values = np.append(normal(100_000), np.float32([100.0]))
    low, high = ranged("entropy", values)
    assert 2.5 < high < 20
    assert -5 < low < -2.5


def test_entropy_of_zeros_after_relu_is_that_of_the_rest() -> None:
    positive = np.abs(normal(50_000))
    zeros = np.zeros(50_000, np.float32)
    assert ranged("entropy", np.concatenate([positive, zeros]))[1] == pytest.approx(
        ranged("entropy", positive)[1], rel=0.1
    )


def test_entropy_is_not_misled_by_a_value_that_repeats() -> None:
    # Half of the values are one background: fine levels around it would look best, at the price of all other values.
    positive = np.abs(normal(50_000))
    background = np.full(50_000, 0.05, np.float32)
    assert ranged("entropy", np.concatenate([positive, background]))[1] > 2.5


def test_range_stays_inside_the_extremes() -> None:
    values = np.float32([-0.1, 5.0] * 100)
    assert ranged("entropy", values)[0] >= np.float32(-0.1)


@given(st.lists(st.lists(st.floats(-1000, 1000, width=32), min_size=1, max_size=20), min_size=1, max_size=8))
def test_every_finite_value_is_counted_once(batches: list[list[float]]) -> None:
    observed = seen("entropy", *(np.asarray(batch, np.float32) for batch in batches))
    assert observed.histogram.counts.sum() == sum(map(len, batches))


def test_histogram_grows_without_moving_counts() -> None:
    first = np.linspace(0.01, 1, 1000, dtype=np.float32)
    grown = seen("entropy", first, np.float32([3.9])).histogram
    assert grown.reach == 4.0
    assert grown.counts[: BINS // 4].sum() == 1000
