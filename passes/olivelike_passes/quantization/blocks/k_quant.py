"""The search of llama.cpp's k-quants: scales fitted by least squares in which large weights count more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from olivelike_passes.quantization.blocks.grid import (
    Blocks,
    Grid,
    Spacing,
    better,
    error,
    extent,
    inverse,
    levels,
    placed,
    rounded,
)

if TYPE_CHECKING:
    from olivelike_passes.quantization.blocks.grid import Floats

STRETCHES = tuple(step / 10 for step in range(-9, 10))
"""By so many levels the range is taken wider or narrower."""


def k_quant(values: Floats, grid: Grid, importance: Floats) -> Blocks:
    """Rounds weights to the grid that fits them best, each weighed by its magnitude and its block's.

    For each of some ranges weights are rounded, and the spacing that fits those codes best follows by least squares;
    the spacing of the least weighted error wins: `make_qx_quants` and `make_qkx2_quants` of llama.cpp (ggml-quants.c).
    """
    import numpy as np

    weight = np.abs(values)
    weight += np.sqrt(np.square(values).mean(axis=1))[:, None]
    if importance.size > 1:
        weight *= importance
    full = extent(values, grid)
    best = error(values, full, grid, weight), full
    for stretch in STRETCHES:
        tried = _fitted(values, weight, _stretched(full, stretch, grid), grid)
        best = better(best, (error(values, tried, grid, weight), tried))
    return rounded(values, best[1], grid)


def _stretched(full: Spacing, stretch: float, grid: Grid) -> Spacing:
    """Returns the spacing with so many levels more in the same range."""
    import numpy as np

    levels_over = grid.middle if grid.symmetric else grid.top
    ratio = np.float32(levels_over / (levels_over + stretch))
    zeros = full.zeros if grid.symmetric else placed(full.zeros / ratio, grid)
    return Spacing(full.scales * ratio, zeros)


def _fitted(values: Floats, weight: Floats, spacing: Spacing, grid: Grid) -> Spacing:
    """Returns the spacing that fits the codes best to which this one rounds."""
    import numpy as np

    codes = levels(values, spacing, grid)
    if not grid.float_zeros:
        codes -= spacing.zeros[:, None]
    weighed = weight * codes
    with_values = (weighed * values).sum(axis=1)
    squares = (weighed * codes).sum(axis=1)
    if not grid.float_zeros:
        return Spacing(grid.stored(with_values * inverse(squares)), spacing.zeros)
    total, sum_codes, sum_values = weight.sum(axis=1), weighed.sum(axis=1), (weight * values).sum(axis=1)
    spread = total * squares - sum_codes**2
    usable = spread > np.float32(1e-6) * total * squares  # else all codes are one, and no line goes through them
    scales = grid.stored(
        np.where(usable, (total * with_values - sum_codes * sum_values) * inverse(spread), spacing.scales)
    )
    low = (sum_values - scales * sum_codes) * inverse(total)
    return Spacing(scales, placed(np.where(usable, -low * inverse(scales), spacing.zeros), grid))
