"""Tests of the sketch: its stated error, its bounded size, and nothing lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from olivelike_passes.quantization.sketch import Sketch

Floats = NDArray[np.float32]
FINITE = st.floats(-(2.0**100), 2.0**100, width=32)


def sketched(*batches: Floats) -> Sketch:
    sketch = Sketch()
    for batch in batches:
        sketch.see(batch)
    return sketch


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 0.9999, 1.0])
@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1.0, 1e30])
def test_quantile_is_at_most_one_128th_too_large(share: float, scale: float) -> None:
    values = (np.random.default_rng(0).standard_cauchy(100_000) * scale).astype(np.float32)
    exact = np.quantile(np.abs(values), share, method="inverted_cdf")
    assert exact <= sketched(values).magnitude_at(share) <= exact * (1 + 1 / 128)


@given(st.lists(st.lists(FINITE, min_size=1, max_size=20), min_size=1, max_size=6))
def test_every_value_is_counted_once_in_a_bin_that_holds_it(batches: list[list[float]]) -> None:
    arrays = [np.asarray(batch, np.float32) for batch in batches]
    sketch = sketched(*arrays)
    values = np.concatenate(arrays)
    low, high, counts = sketch.bins()
    assert counts.sum() == sketch.count == values.size
    assert (low <= high).all() and (np.diff(high) >= 0).all()
    large = values[np.abs(values) > np.abs(values).max() * 2.0**-22]
    for value in large:
        assert ((low <= value) & (value <= high)).any()


@given(st.lists(FINITE, min_size=1, max_size=50))
def test_order_and_batches_make_no_difference(values: list[float]) -> None:
    array = np.asarray(values, np.float32)
    one = sketched(array).bins()
    many = sketched(*np.sort(array).reshape(-1, 1)).bins()
    for first, other in zip(one, many, strict=True):
        np.testing.assert_array_equal(first, other)


def test_what_is_not_finite_is_left_out() -> None:
    sketch = sketched(np.float32([np.nan, np.inf, -np.inf, 2.0]))
    assert sketch.count == 1
    assert sketch.magnitude_at(1.0) == pytest.approx(2.0, rel=1 / 128)


def test_values_far_below_the_largest_count_as_zero() -> None:
    sketch = sketched(np.float32([1e-6, 1e6]))
    assert sketch.zeros == 1


def test_size_does_not_grow_with_values() -> None:
    sketch = sketched(*(np.random.default_rng(seed).standard_normal(1000).astype(np.float32) for seed in range(50)))
    assert sketch.count == 50_000
    assert sketch._counts.nbytes < 50_000
