"""The values of a tensor that lies outside its model, mapped from the file: pages are read where they are looked at."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.onnxfile.external import extent_of, locate
from olivelike.onnxfile.sizes import PACKED_BITS
from olivelike.onnxfile.tensors import inlined

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray
    from onnx import TensorProto

BLOCK = 1 << 22
"""So many elements are compared at a time."""


def mapped(tensor: TensorProto, model: Path) -> NDArray[Any]:
    """Returns the values of an external tensor, read-only; of packed 4-bit types and of no elements a copy in memory.

    Raises:
        InputError: OL203, the external data are missing or too short.
    """
    import numpy as np
    import onnx

    shape = tuple(map(int, tensor.dims))
    if onnx.TensorProto.DataType.Name(tensor.data_type) in PACKED_BITS or not math.prod(shape):
        return onnx.numpy_helper.to_array(inlined(tensor, model))
    extent = extent_of(tensor, model)
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)).newbyteorder("<")
    return np.memmap(locate(extent.location, model), dtype, "r", extent.offset, shape)


def same_values(first: NDArray[Any], second: NDArray[Any]) -> bool:
    """Whether two arrays of one shape and type hold the same bits; a few rows at a time, so that they need not fit."""
    import numpy as np

    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    if not first.ndim:
        return first.tobytes() == second.tobytes()
    rows = max(1, BLOCK * len(first) // max(1, first.size)) if first.size else 1
    for start in range(0, len(first), rows):
        left, right = (np.ascontiguousarray(each[start : start + rows]) for each in (first, second))
        if left.tobytes() != right.tobytes():
            return False
    return True
