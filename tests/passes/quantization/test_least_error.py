"""Tests of the range of least error: against trying all ranges on the values themselves."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from olivelike_passes.quantization.least_error import least_error_range
from olivelike_passes.quantization.sketch import Sketch

Floats = NDArray[np.float32]


def found(values: Floats, bits: int, *, symmetric: bool = False) -> tuple[float, float]:
    sketch = Sketch()
    sketch.see(values)
    return least_error_range(sketch, float(values.min()), float(values.max()), bits, symmetric=symmetric)


def error(values: Floats, low: float, high: float, levels: int) -> float:
    """The mean squared error of a grid on which zero lies."""
    step = (high - low) / levels
    if not step:
        return float(np.mean(values.astype(np.float64) ** 2))
    zero = np.round(-low / step)
    codes = np.clip(np.round(values / step) + zero, 0, levels)
    return float(np.mean(((codes - zero) * step - values) ** 2))


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("kind", ["normal", "laplace", "relu", "skewed", "outlier", "uniform"])
def test_no_range_of_a_fine_search_on_the_values_is_more_than_two_percent_better(kind: str, bits: int) -> None:
    values = drawn(kind)
    low, high = found(values, bits)
    levels = (1 << bits) - 1
    ends = np.linspace(0.02, 1, 50)
    lows = ends if values.min() < 0 else [1.0]
    best = min(
        error(values, float(values.min() * a) if values.min() < 0 else 0.0, float(values.max() * b), levels)
        for a in lows
        for b in ends
    )
    # The grid's zero is rounded, and bins are 1/128 wide: the error of the choice, not of the estimate, is what counts.
    assert error(values, low, high, levels) <= best * 1.02


def test_normal_values_in_4_bits_are_cut_where_theory_says() -> None:
    # Banner et al., arXiv 1810.05723, table 1 and figure 1: 2.55 standard deviations for 4 bits.
    low, high = found(np.random.default_rng(0).standard_normal(200_000).astype(np.float32), 4, symmetric=True)
    assert high == pytest.approx(2.55, rel=0.05)
    assert low == -high


def test_range_never_exceeds_the_extremes_and_holds_zero() -> None:
    values = np.float32([0.5, 0.75, 3.0] * 50)
    low, high = found(values, 8)
    assert low == 0 and 2.9 < high <= 3.0


def test_16_bits_cut_nothing_that_matters_off() -> None:
    values = drawn("normal")
    low, high = found(values, 16)
    assert (low, high) == (pytest.approx(float(values.min()), rel=0.02), pytest.approx(float(values.max()), rel=0.02))


def test_nothing_and_zeros_alone_give_the_empty_range() -> None:
    assert least_error_range(Sketch(), 0.0, 0.0, 8, symmetric=False) == (0.0, 0.0)
    assert found(np.zeros(10, np.float32), 8) == (0.0, 0.0)


def drawn(kind: str) -> Floats:
    random = np.random.default_rng(1)
    values = {
        "normal": lambda: random.standard_normal(20_000),
        "laplace": lambda: random.laplace(size=20_000),
        "relu": lambda: np.maximum(random.standard_normal(20_000), 0),
        "skewed": lambda: random.gamma(2.0, size=20_000) - 0.5,
        "outlier": lambda: np.append(random.standard_normal(20_000), [60.0, -20.0]),
        "uniform": lambda: random.uniform(-1, 2, 20_000),
    }[kind]()
    return values.astype(np.float32)
