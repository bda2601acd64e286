"""Round to nearest in a clipped range: the one with the least squared error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from olivelike_passes.quantization.blocks.grid import Blocks, Grid, Spacing, better, error, extent, placed, rounded

if TYPE_CHECKING:
    from olivelike_passes.quantization.blocks.grid import Floats

SHARES = tuple(share / 100 for share in range(95, 55, -5))
"""The shares of the range that are tried beside all of it."""


def mse(values: Floats, grid: Grid, importance: Floats) -> Blocks:
    """Rounds weights to the nearest level of that part of their range which gives the least squared error."""
    return rounded(values, clipped(values, grid, importance), grid)


def clipped(values: Floats, grid: Grid, importance: Floats) -> Spacing:
    """Returns the spacing of that part of each block's range which gives the least (weighted) squared error.

    The few weights outside are clipped. A symmetric grid is also tried turned around: it has one level more on one side.
    """
    full = extent(values, grid)
    best = error(values, full, grid, importance), full
    for sign in (1, -1) if grid.symmetric else (1,):
        for share in SHARES if sign == 1 else (1.0, *SHARES):
            tried = _shrunk(full, sign * share, grid)
            best = better(best, (error(values, tried, grid, importance), tried))
    return best[1]


def _shrunk(full: Spacing, share: float, grid: Grid) -> Spacing:
    """Returns a spacing of so much of the range, around the same middle."""
    import numpy as np

    scales = grid.stored(full.scales * np.float32(share))
    if grid.symmetric:
        return Spacing(scales, full.zeros)
    middle = np.float32(grid.top / 2)
    return Spacing(scales, placed(middle + (full.zeros - middle) / np.float32(share), grid))
