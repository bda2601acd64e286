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
    summed,
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
    weight += np.sqrt(summed(values, values) / np.float32(grid.block))[:, None]
    if importance.size > 1:
        weight *= importance
    full = extent(values, grid)
    best = error(values, full, grid, weight), full
    fit = _Fit(values, weight, grid)
    for stretch in STRETCHES:
        best = better(best, fit.of(_stretched(full, stretch, grid)))
    return rounded(values, best[1], grid)


def _stretched(full: Spacing, stretch: float, grid: Grid) -> Spacing:
    """Returns the spacing with so many levels more in the same range."""
    import numpy as np

    levels_over = grid.middle if grid.symmetric else grid.top
    ratio = np.float32(levels_over / (levels_over + stretch))
    zeros = full.zeros if grid.symmetric else placed(full.zeros / ratio, grid)
    return Spacing(full.scales * ratio, zeros)


class _Fit:
    """Weighted least squares of a tile's weights on their codes."""

    def __init__(self, values: Floats, weight: Floats, grid: Grid) -> None:
        self._values, self._weight, self._grid = values, weight, grid
        self._weighed = weight * values
        self._squares = summed(self._weighed, values)
        self._total, self._sum = weight.sum(axis=1), self._weighed.sum(axis=1)

    def of(self, spacing: Spacing) -> tuple[Floats, Spacing]:
        """Returns the spacing that fits the codes best to which one rounds, and its weighted squared error."""
        codes = levels(self._values, spacing, self._grid)
        if self._grid.float_zeros:
            return self._line(codes, spacing)
        codes -= spacing.zeros[:, None]
        products, squares = summed(self._weighed, codes), summed(self._weight * codes, codes)
        scales = self._grid.stored(products * inverse(squares))
        left = self._squares - scales * (2 * products - scales * squares)
        return left, Spacing(scales, spacing.zeros)

    def _line(self, codes: Floats, spacing: Spacing) -> tuple[Floats, Spacing]:
        """Fits a line of any zero; where all codes are one, none goes through them, and the spacing stays as it is."""
        import numpy as np

        weighed = self._weight * codes
        sums, products, squares = weighed.sum(axis=1), summed(weighed, self._values), summed(weighed, codes)
        spread = self._total * squares - sums**2
        usable = spread > np.float32(1e-6) * self._total * squares
        slopes = self._grid.stored((self._total * products - sums * self._sum) * inverse(spread))
        scales = np.where(usable, slopes, spacing.scales)
        zeros = (sums - self._sum * inverse(scales)) * inverse(self._total)
        zeros = np.where(usable, placed(zeros, self._grid), spacing.zeros)
        # The sum of weight * (value - scale * (code - zero)) ** 2, multiplied out.
        centred_squares = squares - zeros * (2 * sums - zeros * self._total)
        centred_products = products - zeros * self._sum
        left = self._squares - scales * (2 * centred_products - scales * centred_squares)
        return left, Spacing(scales, zeros)
