"""Make a matrix's new tensors: its weights are read, rounded, and laid out as the operator wants them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from olivelike.errors import RefusedError, fail
from olivelike_passes.quantization.blocks.choice import Choice
from olivelike_passes.quantization.blocks.forms import Layout
from olivelike_passes.quantization.blocks.learned import Learned
from olivelike_passes.quantization.blocks.stored import Matrixlike, Packed
from olivelike_passes.quantization.blocks.weight import NotFiniteError, round_weight

if TYPE_CHECKING:
    from numpy.typing import NDArray


def made(choice: Choice, layout: Layout, learned: Learned) -> Sequence[NDArray[Any]]:
    """Returns codes, scales and, if there are any, zeros of a matrix.

    Raises:
        RefusedError: OL301, no scale can be taken from the weights.
    """
    import numpy as np

    matrix, grid = choice.matrix, choice.grid
    method, whole_lanes = learned.method(choice)
    store = (
        Matrixlike(matrix.inputs, matrix.outputs, grid)
        if layout == "matrix"
        else Packed(matrix.outputs, choice.blocks, grid)
    )
    try:
        round_weight(learned.weight(choice), grid, method, store.put, whole_lanes=whole_lanes)
    except NotFiniteError:
        claim = f"the weight {matrix.tensor.name!r} holds NaN, an infinity or numbers too large, from which no scale can be taken"
        raise fail(RefusedError, "OL301", claim, hint="mend the model where it was trained") from None
    tensors = store.tensors()
    if layout == "rows":
        used = matrix.inputs * grid.stored_bits // 8
        tensors[0] = tensors[0].reshape(matrix.outputs, -1)[:, :used]
    if layout == "signed_rows":
        codes = tensors[0].reshape(matrix.outputs, -1)[:, : matrix.inputs]
        tensors[0] = codes ^ np.uint8(128) if grid.symmetric else codes
    return tensors
