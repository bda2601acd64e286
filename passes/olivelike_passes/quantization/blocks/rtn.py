"""Round to nearest: the range of a block's weights, divided evenly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from olivelike_passes.quantization.blocks.grid import Blocks, Grid, extent, rounded

if TYPE_CHECKING:
    from olivelike_passes.quantization.blocks.grid import Floats


def rtn(values: Floats, grid: Grid, importance: Floats) -> Blocks:
    """Rounds weights to the nearest level of the range that they span."""
    del importance
    return rounded(values, extent(values, grid), grid)
