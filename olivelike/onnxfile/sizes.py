"""How many bytes a tensor's values take, from its shape and type alone."""

from __future__ import annotations

import math
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
    count = math.prod(map(int, tensor.dims))
    if tensor.data_type not in onnx.TensorProto.DataType.values() or any(dim < 0 for dim in tensor.dims):
        claim = f"the tensor {tensor.name!r} has the element type {tensor.data_type} and the shape {list(tensor.dims)}"
        raise fail(InputError, "OL202", claim, hint="the model is damaged: fetch it again")
    kind: str = onnx.TensorProto.DataType.Name(tensor.data_type)
    if kind in PACKED_BITS:
        return math.ceil(count * PACKED_BITS[kind] / 8)
    return count * int(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
