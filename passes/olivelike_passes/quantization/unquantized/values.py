"""The numbers that quantized weights stand for, a slice at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from olivelike.onnxfile.sizes import PACKED_BITS
from olivelike.onnxfile.tensors import inlined, mapped
from olivelike_passes.slices import in_slices
from olivelike_passes.surgery.nbits import float_rows

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray
    from onnx import TensorProto

    Raw: TypeAlias = NDArray[Any]
    Codes: TypeAlias = Callable[[slice], Raw]


def whole_values(tensor: TensorProto, path: Path) -> Raw:
    """Returns the values of a tensor of any type, mapped where they fill bytes and lie outside."""
    import onnx

    packed = onnx.TensorProto.DataType.Name(tensor.data_type) in PACKED_BITS
    return onnx.numpy_helper.to_array(inlined(tensor, path)) if packed else mapped(tensor, path)


def dequantized(
    codes: Codes, shape: Sequence[int], scale: Raw, zero: Raw | None, axis: int, block: int, kind: np.dtype[Any]
) -> Raw:
    """Returns `(codes - zero) * scale`, computed in float32 as `DequantizeLinear` does (ONNX operator specification).

    Args:
        codes: rows (along axis 0) to their integers, one in each element.
        shape: of the codes.
        scale: one for all, one for each place along `axis`, or one for each block along it.
        zero: of the scale's shape; nothing for zero.
        axis: along which scales differ.
        block: how many places along `axis` share a scale; 0 where there are no blocks.
        kind: the type of the result.
    """
    import numpy as np

    dims = tuple(shape) or (1,)
    axis %= len(dims)
    made = np.empty(dims, kind)
    scale = np.asarray(scale, np.float32)
    if zero is not None and zero.size and zero.dtype.kind in "iu":
        zero = zero.astype(np.int32)
    elif zero is not None:
        zero = zero.astype(np.float32)

    def work(rows: slice) -> None:
        values = codes(rows)
        whole = values.astype(np.int32) if values.dtype.kind in "iu" else values.astype(np.float32)
        if zero is not None:
            whole = whole - _spread(zero, dims, rows, axis, block)
        made[rows] = whole.astype(np.float32) * _spread(scale, dims, rows, axis, block)

    if made.size:
        in_slices(dims[0], math.prod(dims[1:]), work)
    return made.reshape(tuple(shape))


def rounded(values: Raw, scale: Raw, zero: Raw | None, axis: int, block: int, kind: np.dtype[Any]) -> Raw:
    """Returns floats as they are after `QuantizeLinear` and `DequantizeLinear`; arguments as for `dequantized`."""
    import numpy as np

    point = np.zeros(1, np.uint8) if zero is None else zero
    dims = values.shape or (1,)
    floats = values.reshape(dims)

    def codes(rows: slice) -> Raw:
        steps = floats[rows].astype(np.float32) / _spread(
            np.asarray(scale, np.float32), dims, rows, axis % len(dims), block
        )
        if point.dtype.kind not in "iu":
            return steps.astype(point.dtype)
        limits = np.iinfo(point.dtype)
        whole = np.rint(steps) + _spread(point.astype(np.float32), dims, rows, axis % len(dims), block)
        clipped: Raw = np.clip(whole, limits.min, limits.max).astype(point.dtype)
        return clipped

    return dequantized(codes, dims, scale, point, axis, block, kind).reshape(values.shape)


def _spread(each: Raw, dims: Sequence[int], rows: slice, axis: int, block: int) -> Raw:
    """Returns scales or zero points in a form that broadcasts over some rows."""
    import numpy as np

    if each.size == 1:
        return each.reshape(())
    if not block:
        flat = each.reshape(-1)
        if axis == 0:
            return flat[rows].reshape(-1, *(1 for _ in dims[1:]))
        return flat.reshape([dims[axis] if place == axis else 1 for place in range(len(dims))])
    if axis == 0:
        spread: Raw = each[np.arange(rows.start, rows.stop) // block]
        return spread
    part = each[rows] if each.shape[0] > 1 or dims[0] == 1 else each
    repeated: Raw = np.take(part, np.arange(dims[axis]) // block, axis=axis)
    return repeated


def of_nbits(data: Raw, scales: Raw, zero_points: Raw | None, inputs: int, bits: int) -> Raw:
    """Returns the matrix [K, N] that `MatMulNBits` multiplies by, in the type of its scales.

    Args:
        data: uint8 [N, blocks, bytes of a block].
        scales: [N * blocks].
        zero_points: packed as the data are, or floats; nothing for the middle of the range.
        inputs: K; what is packed beyond it fills the last block.
        bits: 2, 4 or 8.
    """
    import numpy as np

    made = np.empty((inputs, len(data)), scales.dtype)

    def work(rows: slice) -> None:
        made[:, rows] = float_rows(data, scales, zero_points, np.arange(rows.start, rows.stop), bits)[:, :inputs].T

    in_slices(len(data), inputs, work)
    return made


def unpacked(data: Raw, bits: int) -> Raw:
    """Returns the integers packed along the last axis of uint8, the lowest bits first."""
    import numpy as np

    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    values: Raw = ((np.asarray(data)[..., None] >> shifts) & (2**bits - 1)).reshape(*data.shape[:-1], -1)
    return values
