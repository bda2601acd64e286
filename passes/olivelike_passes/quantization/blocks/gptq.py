"""GPTQ: weights are rounded one input after another, and each one's error is made up for by those still to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from olivelike_passes.quantization.blocks.grid import Blocks, Grid, Method, Spacing, inverse
from olivelike_passes.quantization.blocks.mse import clipped
from olivelike_passes.slices import one_thread_of_blas

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike_passes.quantization.blocks.grid import Codes, Floats

SMALL = 64
"""Rows of a triangular matrix that is inverted in one."""
AT_ONCE = 128
"""Inputs that are rounded before the rest of the matrix is brought up to date."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """By how much of its error the inputs ahead are to make up for each input.

    Attributes:
        order: the inputs in the order in which they are rounded, int64 [inputs].
        upper: the upper Cholesky factor of the inverse of the inputs' products, in that order, float32 [inputs, inputs].
    """

    order: NDArray[np.int64]
    upper: Floats


def ahead(gram: NDArray[Any], damping: float, *, largest_first: bool) -> Ahead:
    """Returns what follows from `X^T X / rows` of a matrix's inputs X, [inputs, inputs].

    An input that was never seen other than zero is given a product of its own, so that its weights are rounded plainly.

    Args:
        gram: the mean products.
        damping: the share of the mean square of all inputs that is added to each one's, so that the inverse exists.
        largest_first: whether inputs of a large mean square are rounded first (`act_order`), instead of as they stand.
    """
    import numpy as np

    products: NDArray[Any] = np.array(gram, np.float64)
    squares = np.diagonal(products).copy()
    size = squares.mean() or 1.0
    squares[squares <= 0] = size
    np.fill_diagonal(products, squares + damping * size)
    order = np.argsort(-squares, kind="stable") if largest_first else np.arange(len(squares))
    # H = U U^T with U upper, by the Cholesky factor of H turned around; then H^-1 = U^-T U^-1, and U^-1 is its upper factor.
    turned = order[::-1]
    products = products[np.ix_(turned, turned)]
    with one_thread_of_blas():
        products = np.linalg.cholesky(products)
        _invert(products)
    return Ahead(order, np.ascontiguousarray(products[::-1, ::-1], np.float32))


def _invert(lower: NDArray[Any]) -> None:
    """Inverts a lower triangular matrix in place, half by half: a sixth of the work of inverting any matrix."""
    import numpy as np

    size = len(lower)
    if size <= SMALL:
        lower[:] = np.tril(np.linalg.inv(lower))
        return
    half = size // 2
    first, second, below = lower[:half, :half], lower[half:, half:], lower[half:, :half]
    _invert(first)
    _invert(second)
    np.negative(second @ (below @ first), out=below)


def gptq(of: Ahead, *, fixed_blocks: bool) -> Method:
    """Returns the method for a matrix with these inputs; it must see whole lanes.

    Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", 2022
    (arXiv 2210.17323), algorithm 1. A block's scale is the clipped one of the least error, each input's weighed by what
    GPTQ minimizes.

    Args:
        of: what `ahead` returned.
        fixed_blocks: whether scales are taken from the weights as they were. Else each block's scale follows from the weights
            as they are when its turn comes, which asks for inputs in their own order.
    """

    def method(values: Floats, grid: Grid, importance: Floats) -> Blocks:
        del importance
        rounding = _Rounding(values, grid, of)
        return rounding.with_fixed_blocks(values) if fixed_blocks else rounding.block_by_block()

    return method


class _Rounding:
    """The state of a tile: its weights in the order in which they are rounded, changed as errors are made up for."""

    def __init__(self, values: Floats, grid: Grid, of: Ahead) -> None:
        import numpy as np

        blocks, block, lanes = values.shape
        self._grid, self._of = grid, of
        self._weights = values.reshape(-1, lanes)[of.order]
        self._codes: Codes = np.zeros((blocks * block, lanes), np.uint8)
        self._spacing = Spacing(np.zeros((blocks, lanes), np.float32), np.zeros((blocks, lanes), np.float32))
        weighed = np.zeros(blocks * block, np.float32)  # what fills up the last block weighs nothing
        weighed[of.order] = 1 / np.square(np.diagonal(of.upper))
        self._importance = weighed.reshape(blocks, block, 1)

    def with_fixed_blocks(self, values: Floats) -> Blocks:
        """Rounds all inputs in their order, by scales taken from the weights as they were."""
        self._place(slice(0, len(values)), values)
        for start in range(0, len(self._of.order), AT_ONCE):
            self._round(start, min(start + AT_ONCE, len(self._of.order)))
        return self._blocks()

    def block_by_block(self) -> Blocks:
        """Rounds all inputs as they stand, by scales taken from each block as it is when its turn comes."""
        import numpy as np

        size, count = self._grid.block, len(self._of.order)
        for number, start in enumerate(range(0, count, size)):
            stop = min(start + size, count)
            weights = self._weights[start:stop]
            missing = start + size - stop
            whole = np.concatenate([weights, np.repeat(weights[-1:], missing, axis=0)]) if missing else weights
            self._place(slice(number, number + 1), whole[None])
            self._round(start, stop)
        return self._blocks()

    def _place(self, blocks: slice, values: Floats) -> None:
        """Takes the spacing of some blocks from weights."""
        found = clipped(values, self._grid, self._importance[blocks])
        self._spacing.scales[blocks] = found.scales
        self._spacing.zeros[blocks] = found.zeros

    def _round(self, start: int, stop: int) -> None:
        """Rounds some inputs one after another; those that follow make up for the errors."""
        import numpy as np

        upper = self._of.upper
        off = np.empty((stop - start, self._weights.shape[1]), np.float32)
        for place in range(start, stop):
            off[place - start] = self._error(place) / upper[place, place]
            self._weights[place + 1 : stop] -= upper[place, place + 1 : stop, None] * off[place - start]
        self._weights[stop:] -= upper[start:stop, stop:].T @ off

    def _error(self, place: int) -> Floats:
        """Stores an input's codes, and returns what its weights are off by."""
        import numpy as np

        source = int(self._of.order[place])
        block = source // self._grid.block
        scales, zeros, weights = self._spacing.scales[block], self._spacing.zeros[block], self._weights[place]
        codes = np.clip(np.floor(weights * inverse(scales) + zeros + np.float32(0.5)), 0, self._grid.top)
        self._codes[source] = codes
        off: Floats = weights - (codes - zeros) * scales
        return off

    def _blocks(self) -> Blocks:
        shape = len(self._spacing.scales), self._grid.block, -1
        return Blocks(self._codes.reshape(shape), self._spacing)
