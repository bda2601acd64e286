"""Tests of how weights are rounded: what each method promises, on weights made for it."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest

from olivelike_passes.quantization.blocks.awq import best_factors
from olivelike_passes.quantization.blocks.gptq import ahead, gptq
from olivelike_passes.quantization.blocks.grid import Blocks, Grid, Method, rounded
from olivelike_passes.quantization.blocks.hqq import hqq
from olivelike_passes.quantization.blocks.k_quant import k_quant
from olivelike_passes.quantization.blocks.mse import mse
from olivelike_passes.quantization.blocks.rtn import rtn
from olivelike_passes.quantization.blocks.weight import Weight

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

ALIKE = np.ones((1, 1, 1), np.float32)
METHODS = {"rtn": rtn, "mse": mse, "k_quant": k_quant, "hqq": hqq}
GRIDS = {
    "symmetric": Grid(4, 32),
    "whole zeros": Grid(4, 32, symmetric=False),
    "float zeros": Grid(4, 32, symmetric=False, float_zeros=True),
    "3 bits": Grid(3, 16),
    "8 bits of half": Grid(8, 32, symmetric=False, half=True),
}


def weights(inputs: int = 64, outputs: int = 40, seed: int = 0) -> Floats:
    """Weights with heavy tails, float32 [inputs, outputs]."""
    return np.random.default_rng(seed).standard_t(4, (inputs, outputs)).astype(np.float32)


def activations(rows: int = 512, inputs: int = 64, seed: int = 1) -> Floats:
    """Inputs that go together, some of them ten times as large as the others, float32 [rows, inputs]."""
    draws = np.random.default_rng(seed)
    mixed = draws.standard_normal((rows, 12)) @ draws.standard_normal((12, inputs)) + 0.3 * draws.standard_normal(
        (rows, inputs)
    )
    mixed[:, ::9] *= 10
    return mixed.astype(np.float32)


def read_back(found: Blocks) -> Floats:
    """Returns what rounded weights stand for, float32 [inputs, outputs]."""
    codes = found.codes.astype(np.float32)
    values = (codes - found.spacing.zeros[:, None]) * found.spacing.scales[:, None]
    return values.reshape(-1, codes.shape[2])


def applied_to(method: Method, values: Floats, grid: Grid, importance: Floats = ALIKE) -> Floats:
    """Returns weights as they are after rounding."""
    blocks = values.reshape(-1, grid.block, values.shape[1])
    return read_back(method(blocks, grid, importance))


def squared(error: Floats) -> float:
    """Returns the sum of squares."""
    return float(np.square(error, dtype=np.float64).sum())


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("method", METHODS)
def test_weights_on_levels_are_kept(method: str, grid: Grid) -> None:
    # Halves and whole numbers up to 255 / 2 are exact in float16 too.
    codes = np.random.default_rng(0).integers(0, grid.top + 1, (grid.block, 24)).astype(np.float32)
    codes[0], codes[1] = 0, grid.top
    values = (codes - grid.middle) * np.float32(0.5)
    tolerance = 1e-3 if method in ("hqq", "k_quant") else 0  # they end near it, by sums
    np.testing.assert_allclose(applied_to(METHODS[method], values, grid), values, rtol=0, atol=tolerance * grid.top)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("method", METHODS)
def test_error_is_within_half_a_step_of_the_full_range_except_where_clipped(method: str, grid: Grid) -> None:
    values = weights()
    off = np.abs(applied_to(METHODS[method], values, grid) - values).reshape(-1, grid.block, 40)
    blocks = values.reshape(-1, grid.block, 40)
    low, high = np.minimum(blocks.min(1), 0), np.maximum(blocks.max(1), 0)
    step = 2 * np.maximum(high, -low) / (grid.top if grid.symmetric else grid.top - 1)
    assert (np.median(off, axis=1) <= 0.6 * step).all()


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_searches_err_no_more_than_plain_rounding_in_any_block(grid: Grid) -> None:
    values = weights()

    def by_block(method: Method) -> NDArray[np.float64]:
        off = (applied_to(method, values, grid) - values).reshape(-1, grid.block, 40)
        return np.square(off, dtype=np.float64).sum(axis=1)

    # Sums of 32 float32 numbers are good to six digits.
    assert (by_block(mse) <= by_block(rtn) * (1 + 1e-5)).all()


def test_importance_moves_error_to_inputs_that_matter_less() -> None:
    values, grid = weights(), Grid(3, 32)
    importance = np.where(np.arange(64) % 8 == 0, 100, 1).astype(np.float32).reshape(-1, 32, 1)
    for method in (mse, k_quant):
        plain = applied_to(method, values, grid) - values
        weighed = applied_to(method, values, grid, importance) - values
        assert squared(weighed[::8]) < squared(plain[::8])


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("largest_first", [False, True])
def test_gptq_errs_less_in_what_comes_out(grid: Grid, largest_first: bool) -> None:
    values, seen = weights(), activations()
    of = ahead(seen.T @ seen / len(seen), 0.01, largest_first=largest_first)
    plain = seen @ (applied_to(mse, values, grid) - values)
    made_up = seen @ (applied_to(gptq(of, fixed_blocks=largest_first), values, grid) - values)
    # Inputs of rank 12 leave most directions free to make up for errors in.
    assert squared(made_up) < 0.5 * squared(plain)


def test_gptq_of_inputs_that_do_not_go_together_is_plain_rounding() -> None:
    # Nothing can make up for an error in an input that no other goes with.
    values, grid = weights(), Grid(4, 32)
    of = ahead(np.eye(64, dtype=np.float32), 0.01, largest_first=False)
    assert (applied_to(gptq(of, fixed_blocks=False), values, grid) == applied_to(mse, values, grid)).all()


def test_gptq_takes_inputs_that_are_never_seen() -> None:
    values, seen = weights(), activations()
    seen[:, 5] = 0
    of = ahead(seen.T @ seen / len(seen), 0.01, largest_first=True)
    found = applied_to(gptq(of, fixed_blocks=True), values, Grid(4, 32))
    assert np.isfinite(found).all()
    assert np.abs(found[5] - values[5]).max() < np.abs(values).max() / 4
    nothing = ahead(np.zeros((64, 64), np.float32), 0.01, largest_first=False)
    assert np.isfinite(applied_to(gptq(nothing, fixed_blocks=False), values, Grid(4, 32))).all()


def test_factor_of_the_inverse_is_its_upper_cholesky_factor() -> None:
    seen = activations(inputs=200).astype(np.float64)  # halved twice on the way
    gram = seen.T @ seen / len(seen)
    damped = gram + 0.01 * np.diagonal(gram).mean() * np.eye(200)
    expected = np.linalg.cholesky(np.linalg.inv(damped)).T
    upper = ahead(gram, 0.01, largest_first=False).upper
    np.testing.assert_allclose(upper, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_factors_of_awq_lessen_the_error_of_what_comes_out() -> None:
    values, seen, grid = weights(), activations(), Grid(3, 32)
    one = np.ones(1, np.float32)
    magnitude, squares = np.abs(seen).mean(0), np.square(seen).mean(0)
    factors = best_factors([Weight(values, False, one, one)], [grid], magnitude, squares)
    plain = seen @ (applied_to(rtn, values, grid) - values)
    scaled = seen @ (applied_to(rtn, values * factors[:, None], grid) / factors[:, None] - values)
    assert squared(scaled) < 0.8 * squared(plain)
    assert factors[0] > factors[1]  # the larger input gets the finer steps


def test_factors_of_awq_are_one_where_inputs_are_alike() -> None:
    one, alike = np.ones(1, np.float32), np.ones(64, np.float32)
    assert (best_factors([Weight(weights(), False, one, one)], [Grid(4, 32)], alike, alike) == 1).all()


def test_block_of_one_number_is_exact_with_float_zeros() -> None:
    values = np.full((32, 3), 0.7, np.float32)
    grid = Grid(4, 32, symmetric=False, float_zeros=True)
    for method in METHODS.values():
        np.testing.assert_allclose(applied_to(method, values, grid), values, rtol=1e-6)


def test_stored_scales_of_half_precision_are_what_codes_are_chosen_for() -> None:
    grid = Grid(4, 32, half=True)
    found = rtn(weights().reshape(-1, 32, 40), grid, ALIKE)
    assert (found.spacing.scales.astype(np.float16) == found.spacing.scales).all()
    again = rounded(weights().reshape(-1, 32, 40), found.spacing, grid)
    assert (again.codes == found.codes).all()


def test_gptq_holds_few_copies_of_the_products_of_inputs() -> None:
    gram = np.eye(600, dtype=np.float32)
    ahead(gram, 0.01, largest_first=True)  # loads what it needs
    tracemalloc.start()
    try:
        ahead(gram, 0.01, largest_first=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2.2 * 8 * 600**2  # two in float64, and small change; LAPACK's own is not traced
