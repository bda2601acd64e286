"""Half-quadratic quantization: zero points that make most errors small and leave the outliers to err."""

from __future__ import annotations

from typing import TYPE_CHECKING

from olivelike_passes.quantization.blocks.grid import (
    Blocks,
    Grid,
    Spacing,
    better,
    extent,
    inverse,
    levels,
    placed,
    rounded,
)

if TYPE_CHECKING:
    from olivelike_passes.quantization.blocks.grid import Floats

NORM = 0.7
BETA = 10.0
GROWTH = 1.01
STEPS = 20


def hqq(values: Floats, grid: Grid, importance: Floats) -> Blocks:
    """Rounds weights by the zero points that half-quadratic splitting finds; the scales are those of the full range.

    Minimizes the sum of `|error| ** 0.7`, which a few large errors weigh little in: Badri and Shaji, "Half-Quadratic
    Quantization of Large Machine Learning Models", 2023 (mobiusml.github.io/hqq_blog), with their constants. Weights are
    counted in multiples of their block's mean magnitude, so that the constants fit models of any size; of the steps,
    each block keeps its best.
    """
    import numpy as np

    del importance
    size = np.abs(values).mean(axis=1)
    unit = values * inverse(size)[:, None]
    full = extent(values, grid)
    steps = full.scales * inverse(size)
    best: tuple[Floats, Spacing] | None = None
    zeros, beta = full.zeros, BETA
    for _ in range(STEPS + 1):
        spacing = Spacing(steps, zeros)
        codes = levels(unit, spacing, grid)
        off = unit - (codes - zeros[:, None]) * steps[:, None]
        found = np.power(np.abs(off), np.float32(NORM)).sum(axis=1), Spacing(full.scales, zeros)
        best = found if best is None else better(best, found)
        codes -= (unit - _shrunk(off, beta)) * inverse(steps)[:, None]
        zeros = placed(codes.mean(axis=1), grid)
        beta *= GROWTH
    return rounded(values, best[1], grid) if best else rounded(values, full, grid)


def _shrunk(off: Floats, beta: float) -> Floats:
    """Returns the errors nearer to zero: the proximal step of the norm."""
    import numpy as np

    size = np.abs(off)
    less = np.power(size + np.float32(1e-8), np.float32(NORM - 1)) / np.float32(beta)
    shrunk: Floats = np.sign(off) * np.maximum(size - less, 0)
    return shrunk
