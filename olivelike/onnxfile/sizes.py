"""How many bytes a tensor's values take, from its shape and type alone."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

from olivelike.errors import InputError, fail

if TYPE_CHECKING:
    from onnx import TensorProto

PACKED_BITS = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}


def byte_count(tensor: TensorProto) -> int:
    """Returns how many bytes a tensor's values take as raw data; of strings, the bytes of their text.

    Raises:
        InputError: OL202, an element type or a shape that ONNX does not have.
    """
    import onnx

    if tensor.data_type == onnx.TensorProto.STRING:
        return sum(map(len, tensor.string_data))
    bits = _bits(tensor.data_type)
    if not bits or any(dim < 0 for dim in tensor.dims):
        claim = f"the tensor {tensor.name!r} has the element type {tensor.data_type} and the shape {list(tensor.dims)}"
        raise fail(InputError, "OL202", claim, hint="the model is damaged: fetch it again")
    return -(-math.prod(map(int, tensor.dims)) * bits // 8)  # whole bytes, rounded up


@cache
def _bits(data_type: int) -> int:
    """Returns the bits of an element; 0 for a type that ONNX does not have."""
    import onnx

    if data_type not in onnx.TensorProto.DataType.values() or data_type == onnx.TensorProto.UNDEFINED:
        return 0
    kind: str = onnx.TensorProto.DataType.Name(data_type)
    return PACKED_BITS.get(kind) or 8 * int(onnx.helper.tensor_dtype_to_np_dtype(data_type).itemsize)
