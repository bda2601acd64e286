"""Tests of k-means on a line."""

from __future__ import annotations

import numpy as np
import pytest

from olivelike_passes.compression.kmeans import centres, codes_of


def test_values_of_few_kinds_are_found_exactly() -> None:
    values = np.random.default_rng(0).choice(np.array([-1.5, 0.25, 3.0], np.float32), 5000)
    assert centres(values, 4).tolist() == [-1.5, 0.25, 3.0]


def test_error_on_a_normal_weight_is_that_of_the_best_scalar_quantizer() -> None:
    values = np.random.default_rng(1).normal(size=200_000).astype(np.float32)
    found = centres(values, 16)
    error = float(np.mean((found[codes_of(values, found)] - values) ** 2))
    # J. Max, "Quantizing for minimum distortion", 1960: 0.009497 for 16 levels; 2 % for the sample.
    assert error == pytest.approx(0.009497, rel=0.02)


def test_zeros_of_a_pruned_weight_stay_zeros() -> None:
    values = np.random.default_rng(2).normal(size=1000).astype(np.float32)
    values[::2] = 0
    found = centres(values, 8)
    assert (found[codes_of(values, found)][::2] == 0).all()


def test_equal_values_have_one_centre() -> None:
    assert centres(np.full((3, 4), 7, np.float32), 16).tolist() == [7]
