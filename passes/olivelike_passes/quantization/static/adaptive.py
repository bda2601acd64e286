"""Rounding up or down by what a layer gives, not to the nearest: fewer errors that add up over correlated inputs.

The objective is that of Nagel et al. 2020, "Up or Down? Adaptive Rounding for Post-Training Quantization", arXiv 2004.10568 (the
expected squared error of the layer's output, equation 13); in place of a gradient descent, weights are flipped one after another
while that makes it smaller (coordinate descent), which ends at a rounding that no single flip improves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from olivelike_passes.quantization.integers import Axis, Grid, Integers, codes_of
from olivelike_passes.slices import one_thread_of_blas

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike_passes.quantization.integers import Codes, Values

SWEEPS = 3
AT_ONCE = 256
"""Outputs that are worked on together; they do not depend on each other."""


def adaptive_codes(
    values: Values, grid: Grid, axis: Axis, integers: Integers, *, gram: NDArray[np.float32], inputs_first: bool
) -> Codes:
    """Returns a matrix's codes, each one of the two next to its value.

    Args:
        values: a weight of two axes.
        grid: with one entry for the whole, or for each output.
        axis: what has a grid of its own.
        integers: the type.
        gram: mean products of the inputs, `[K, K]`.
        inputs_first: whether rows count inputs.
    """
    import numpy as np

    codes = codes_of(values, grid, axis, integers)
    turned, own = (codes, values) if inputs_first else (codes.T, values.T)
    products = gram.astype(np.float64)
    for start in range(0, turned.shape[1], AT_ONCE):
        part = slice(start, start + AT_ONCE)
        scale = (grid.scale if grid.scale.size == 1 else grid.scale[part]).astype(np.float64)
        zero = (grid.zero_point if grid.zero_point.size == 1 else grid.zero_point[part]).astype(np.float64)
        made = turned[:, part].astype(np.float64)
        error = own[:, part].astype(np.float64) - (made - zero) * scale
        turned[:, part] = _descended(made, error, scale, products, integers)
    return codes


def _descended(
    codes: NDArray[np.float64],
    error: NDArray[np.float64],
    scale: NDArray[np.float64],
    products: NDArray[np.float64],
    integers: Integers,
) -> NDArray[np.float64]:
    import numpy as np

    low, high = integers.codes
    with one_thread_of_blas():
        slope = products @ error
    for _ in range(SWEEPS):
        flips = 0
        for row in range(codes.shape[0]):
            way = np.sign(error[row])  # to the code on the other side of the value
            change = -way * scale
            better = change * (2 * slope[row] + change * products[row, row]) < 0
            better &= (codes[row] + way >= low) & (codes[row] + way <= high)
            if better.any():
                change = np.where(better, change, 0.0)
                codes[row] += np.where(better, way, 0.0)
                error[row] += change
                slope += products[:, row, None] * change
                flips += int(better.sum())
        if not flips:
            break
    return codes
