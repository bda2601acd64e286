"""Tests of how weights are cut into tiles, and of the layouts that rounded ones are stored in."""

from __future__ import annotations

import numpy as np
import pytest

from olivelike_passes.quantization.blocks.grid import Grid
from olivelike_passes.quantization.blocks.mse import mse
from olivelike_passes.quantization.blocks.rtn import rtn
from olivelike_passes.quantization.blocks.stored import Matrixlike, Packed, packed_rows, unpacked
from olivelike_passes.quantization.blocks.weight import NotFiniteError, Weight, round_weight

ONE = np.ones(1, np.float32)
VALUES = np.random.default_rng(0).standard_normal((520, 2100)).astype(np.float32)
"""Of several tiles, with a last block that is short and an odd last tile."""


@pytest.mark.parametrize("grid", [Grid(4, 32), Grid(2, 16, symmetric=False), Grid(8, 256), Grid(4, 64, half=True)])
@pytest.mark.parametrize("whole_lanes", [False, True])
def test_layout_and_tiles_leave_no_trace(grid: Grid, whole_lanes: bool) -> None:
    blocks = -(-520 // grid.block)
    filled = np.concatenate([VALUES, np.repeat(VALUES[-1:], blocks * grid.block - 520, axis=0)])
    in_one = Packed(2100, blocks, grid)
    in_one.put(
        slice(0, blocks), slice(0, 2100), rtn(filled.reshape(blocks, grid.block, 2100), grid, ONE.reshape(1, 1, 1))
    )
    for values, turned in ((VALUES, False), (np.ascontiguousarray(VALUES.T), True)):
        tiled = Packed(2100, blocks, grid)
        round_weight(Weight(values, turned, ONE, ONE), grid, rtn, tiled.put, whole_lanes=whole_lanes)
        for ours, theirs in zip(tiled.tensors(), in_one.tensors(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_factors_and_importance_reach_the_inputs_they_are_of() -> None:
    grid = Grid(3, 32)
    factors = np.geomspace(0.5, 2, 520).astype(np.float32)
    importance = np.where(np.arange(520) % 3 == 0, 9, 1).astype(np.float32)
    weighed, turned = (Packed(2100, 17, grid) for _ in range(2))
    round_weight(Weight(VALUES, False, factors, importance), grid, mse, weighed.put)
    scaled = np.ascontiguousarray((VALUES * factors[:, None]).T)
    round_weight(Weight(scaled, True, ONE, importance), grid, mse, turned.put)
    for ours, theirs in zip(weighed.tensors(), turned.tensors(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [(0, 0), (519, 2099)])
def test_number_that_is_not_finite_is_found_in_any_tile(bad: float, place: tuple[int, int]) -> None:
    values = VALUES.copy()
    values[place] = bad
    grid = Grid(4, 32)
    with pytest.raises(NotFiniteError):
        round_weight(Weight(values, False, ONE, ONE), grid, rtn, Packed(2100, 17, grid).put)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("count", [1, 3, 4, 7, 64])
def test_packed_codes_come_back(bits: int, count: int) -> None:
    codes = np.random.default_rng(0).integers(0, 2**bits, (5, count)).astype(np.uint8)
    packed = packed_rows(codes, bits)
    assert packed.shape == (5, -(-count * bits // 8))
    np.testing.assert_array_equal(unpacked(packed, bits)[:, :count], codes)


def test_first_code_lies_in_the_lowest_bits() -> None:
    assert packed_rows(np.array([[1, 2, 3]], np.uint8), 4).tolist() == [[0x21, 0x03]]
    assert packed_rows(np.array([[1, 2, 3, 0, 3]], np.uint8), 2).tolist() == [[0b00111001, 0b11]]


def test_symmetric_codes_of_a_matrix_are_signed() -> None:
    grid = Grid(4, 16)
    values = np.zeros((16, 2), np.float32)
    values[0], values[1] = -8, 7
    store = Matrixlike(16, 2, grid)
    round_weight(Weight(values, False, ONE, ONE), grid, rtn, store.put)
    codes, scales = store.tensors()
    assert scales.tolist() == [[1, 1]]
    # -8 and 7 in two's complement of 4 bits, then zeros.
    assert codes.tolist() == [0x88, 0x77, *[0] * 14]


def test_three_bits_lie_around_the_middle_of_four() -> None:
    grid = Grid(3, 16)
    values = np.linspace(-4, 3, 16, dtype=np.float32).reshape(16, 1)
    store = Packed(1, 1, grid)
    round_weight(Weight(values, False, ONE, ONE), grid, rtn, store.put)
    codes = unpacked(store.codes.reshape(1, -1), 4)
    assert codes.min() == 4 and codes.max() == 11
