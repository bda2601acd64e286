"""Tests of the arithmetic of integer weights."""

from __future__ import annotations

import numpy as np
import pytest

from olivelike.testing.building import random_values
from olivelike_passes.quantization.integers import Axis, Integers, Name, codes_of, extremes, grid_of

NAMES: tuple[Name, ...] = ("int8", "uint8", "int16", "uint16", "int4", "uint4")
AXES: tuple[Axis, ...] = ("none", "rows", "columns")


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_code_is_never_further_off_than_half_a_step(name: Name, symmetric: bool, axis: Axis) -> None:
    values = random_values("w", 700, 900)  # more than one slice
    integers = Integers(name, symmetric)
    grid = grid_of(*extremes(values, axis, "w"), integers)
    codes = codes_of(values, grid, axis, integers).astype(np.float64)
    shape = (-1, 1) if axis == "rows" else (1, -1)
    scale, zero = grid.scale.astype(np.float64).reshape(shape), grid.zero_point.astype(np.float64).reshape(shape)
    # The ends may lie beyond the last code by what rounding the zero point moves the grid: half a step more.
    assert np.all(np.abs((codes - zero) * scale - values) <= scale * (0.5 + (0 if symmetric else 0.5) + 1e-3))
    assert (codes.min() >= integers.codes[0]) and (codes.max() <= integers.codes[1])


def test_reduced_types_have_a_bit_less() -> None:
    assert Integers("int8", symmetric=True, reduced=True).codes == (-64, 64)
    assert Integers("uint8", symmetric=False, reduced=True).codes == (0, 127)


def test_known_codes() -> None:
    values = np.array([[-1.0, 0.0, 0.5], [2.0, 1.0, -2.0]], np.float32)
    integers = Integers("int8", symmetric=True)
    grid = grid_of(*extremes(values, "rows", "w"), integers)
    assert grid.scale.tolist() == pytest.approx([1 / 127, 2 / 127], rel=1e-7)  # float32
    assert codes_of(values, grid, "rows", integers).tolist() == [[-127, 0, 64], [127, 64, -127]]


def test_zero_is_exact_on_every_grid() -> None:
    values = np.array([[0.0, 3.0, 7.3]], np.float32)
    integers = Integers("uint8", symmetric=False)
    grid = grid_of(*extremes(values, "none", "w"), integers)
    assert codes_of(values, grid, "none", integers)[0, 0] == grid.zero_point[0] == 0


@pytest.mark.parametrize("value", [0.0, 1e-45, 3e38])
def test_extreme_magnitudes_have_a_usable_scale(value: float) -> None:
    values = np.full((3, 4), value, np.float32)
    for integers in (Integers("int8", symmetric=True), Integers("uint8", symmetric=False)):
        grid = grid_of(*extremes(values, "none", "w"), integers)
        assert np.isfinite(grid.scale).all()
        assert (grid.scale >= np.finfo(np.float32).tiny).all()
        assert np.isfinite(codes_of(values, grid, "none", integers).astype(np.float32)).all()
