"""Activation-aware scaling: inputs that carry much get finer steps, by factors on weights that activations are divided by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from olivelike_passes.quantization.blocks.grid import Grid, error, extent
from olivelike_passes.quantization.blocks.weight import Tile, Weight, each_tile

if TYPE_CHECKING:
    from olivelike_passes.quantization.blocks.grid import Floats

POWERS = tuple(step / 20 for step in range(1, 20))
SMALLEST = 1e-4


def best_factors(weights: Sequence[Weight], grids: Sequence[Grid], magnitude: Floats, mean_square: Floats) -> Floats:
    """Returns factors of the inputs that some matrices share, float32 [inputs]: weights are multiplied with them.

    Lin et al., "AWQ: Activation-aware Weight Quantization", 2023 (arXiv 2306.00978): of the powers of the inputs' mean
    magnitudes, the one with the least output error. That error is taken for channels that do not go together: the sum of
    the weights' squared errors, each weighed by the mean square of its input. Where no power wins, all factors are 1.

    Args:
        weights: the matrices, all of the same inputs.
        grids: what each is rounded to.
        magnitude: the inputs' mean magnitudes, float32 [inputs].
        mean_square: the inputs' mean squares, float32 [inputs].
    """
    import numpy as np

    best = np.ones(len(magnitude), np.float32)
    least = _output_error(weights, grids, best, mean_square)
    for power in POWERS:
        factors = np.maximum(magnitude, np.float32(SMALLEST)) ** np.float32(power)
        factors /= np.sqrt(factors.max() * factors.min())
        found = _output_error(weights, grids, factors, mean_square)
        if found < least:
            best, least = factors, found
    return best


def _output_error(weights: Sequence[Weight], grids: Sequence[Grid], factors: Floats, mean_square: Floats) -> float:
    """Returns the squared error of the outputs of all matrices, summed up."""
    import numpy as np

    importance = (mean_square / np.square(factors)).astype(np.float32)
    scaled = (replace(weight, factors=factors, importance=importance) for weight in weights)
    return float(sum(_error_of(weight, grid) for weight, grid in zip(scaled, grids, strict=True)))


def _error_of(weight: Weight, grid: Grid) -> float:
    import numpy as np

    sums: dict[tuple[int, int], float] = {}  # added up in one order, however many threads there are

    def see(tile: Tile) -> None:
        found = error(tile.values, extent(tile.values, grid), grid, tile.importance)
        sums[tile.blocks.start, tile.outputs.start] = float(found.sum(dtype=np.float64))

    each_tile(weight, grid, see)
    return sum(sums[place] for place in sorted(sums))
