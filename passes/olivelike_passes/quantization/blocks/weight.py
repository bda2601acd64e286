"""A weight matrix that is rounded tile by tile; its layout in the model does not matter to the method."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from olivelike_passes.quantization.blocks.grid import Blocks, Grid, Method
from olivelike_passes.slices import ELEMENTS, in_slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from olivelike_passes.quantization.blocks.grid import Floats

TURNED_LANES = 1024
"""Lanes of a tile that is read across the layout."""
Put: TypeAlias = Callable[[slice, slice, Blocks], None]
"""Takes what was rounded: which blocks of the inputs, which outputs, and their codes and spacing."""


class NotFiniteError(ValueError):
    """A weight holds NaN, an infinity, or numbers that are too large to reckon with."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What is rounded.

    Attributes:
        values: `[outputs, inputs]` or `[inputs, outputs]`, of any float type; read-only, perhaps mapped from a file.
        rows_are_outputs: which of the two.
        factors: numbers that the weights of each input are multiplied with first, float32 [inputs]; or just the number 1.
        importance: how much an error weighs at each input, float32 [inputs]; or just the number 1.
    """

    values: NDArray[Any]
    rows_are_outputs: bool
    factors: Floats
    importance: Floats

    @property
    def outputs(self) -> int:
        """Lanes that are rounded each for itself."""
        return int(self.values.shape[0 if self.rows_are_outputs else 1])

    @property
    def inputs(self) -> int:
        """The length of a lane."""
        return int(self.values.shape[1 if self.rows_are_outputs else 0])

    def in_blocks(self, blocks: slice, outputs: slice, size: int) -> Floats:
        """Returns a part as float32 [blocks, size, outputs]; a last block that is short repeats its last weight."""
        import numpy as np

        inputs = slice(blocks.start * size, min(blocks.stop * size, self.inputs))
        part = self.values[outputs, inputs].T if self.rows_are_outputs else self.values[inputs, outputs]
        floats: Floats = np.ascontiguousarray(part, np.float32)
        if self.factors.size > 1:
            floats = floats * self.factors[inputs, None]
        return _filled_up(floats, size)

    def importance_of(self, blocks: slice, size: int) -> Floats:
        """Returns the importance of some blocks' inputs, float32 [blocks, size, 1], or [1, 1, 1] if all are alike."""
        if self.importance.size == 1:
            return self.importance.reshape(1, 1, 1)
        inputs = slice(blocks.start * size, min(blocks.stop * size, self.inputs))
        return _filled_up(self.importance[inputs, None], size)


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a weight that fits the cache: where it lies, its values `[blocks, block, outputs]`, and their importance."""

    blocks: slice
    outputs: slice
    values: Floats
    importance: Floats


def each_tile(weight: Weight, grid: Grid, see: Callable[[Tile], None], *, whole_lanes: bool = False) -> None:
    """Calls a function for every tile of a weight, from several threads at a time.

    Args:
        weight: the matrix.
        grid: whose blocks the tiles are made of.
        see: what looks at a tile; numbers that are not finite raise nothing there, they show in what comes of them.
        whole_lanes: whether each tile holds all of its lanes' blocks.
    """
    import numpy as np

    tiles = list(_tiles(weight, grid, whole_lanes))

    def work(part: slice) -> None:
        for blocks, outputs in tiles[part]:
            with np.errstate(all="ignore"):
                values = weight.in_blocks(blocks, outputs, grid.block)
                see(Tile(blocks, outputs, values, weight.importance_of(blocks, grid.block)))

    in_slices(len(tiles), ELEMENTS, work)


def round_weight(weight: Weight, grid: Grid, method: Method, put: Put, *, whole_lanes: bool = False) -> None:
    """Rounds a weight, tile by tile on all cores.

    Args:
        weight: the matrix.
        grid: what it is rounded to.
        method: how.
        put: stores what a tile gives; called from several threads.
        whole_lanes: whether the method must see all of a lane's blocks at once.

    Raises:
        NotFiniteError: no scale can be taken.
    """
    import numpy as np

    def see(tile: Tile) -> None:
        found = method(tile.values, grid, tile.importance)
        if not np.isfinite(found.spacing.scales).all():
            raise NotFiniteError
        put(tile.blocks, tile.outputs, found)

    each_tile(weight, grid, see, whole_lanes=whole_lanes)


def _tiles(weight: Weight, grid: Grid, whole_lanes: bool) -> Iterator[tuple[slice, slice]]:
    """Yields blocks and outputs of tiles that fit the cache; what they are depends on nothing but the weight and the grid."""
    count = -(-weight.inputs // grid.block)
    lanes = TURNED_LANES if weight.rows_are_outputs or whole_lanes else ELEMENTS // grid.block
    depth = count if whole_lanes else max(ELEMENTS // (grid.block * min(lanes, weight.outputs)), 1)
    for start in range(0, count, depth):
        for first in range(0, weight.outputs, lanes):
            yield slice(start, min(start + depth, count)), slice(first, min(first + lanes, weight.outputs))


def _filled_up(rows: Floats, size: int) -> Floats:
    import numpy as np

    missing = -len(rows) % size
    whole = np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)]) if missing else rows
    return whole.reshape(-1, size, rows.shape[1])
