"""One tensor at a time: its bytes in pieces, its values as an array or mapped; nothing else of the external data is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from olivelike.digest import CHUNK
from olivelike.errors import InputError, fail
from olivelike.onnxfile.external import Extent, extent_of, is_external, locate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import TensorProto

    Values: TypeAlias = NDArray[np.generic]


def raw_pieces(tensor: TensorProto, model: Path) -> Iterator[bytes]:
    """Yields a tensor's raw little-endian bytes in pieces of at most 1 MiB if they are external, else in one.

    Args:
        tensor: an initializer or attribute, not of strings.
        model: the model's file; external data are looked up beside it.

    Raises:
        InputError: OL203.
    """
    import onnx

    if is_external(tensor):
        yield from _external_pieces(extent_of(tensor, model), model)
    elif tensor.HasField("raw_data"):
        yield tensor.raw_data
    else:
        yield onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor)).raw_data


def inlined(tensor: TensorProto, model: Path) -> TensorProto:
    """Returns the tensor with its values inside: itself, or a copy that has read its external data."""
    import onnx

    if not is_external(tensor):
        return tensor
    copy = onnx.TensorProto()
    copy.CopyFrom(tensor)
    take_in(copy, model)
    return copy


def mapped(tensor: TensorProto, model: Path) -> Values:
    """Returns a tensor's values, read-only, without a copy where they lie outside: the file is mapped into memory.

    Args:
        tensor: an initializer or attribute of whole bytes (no strings, no 4-bit types).
        model: the model's file; external data are looked up beside it.

    Returns:
        An array of the tensor's shape; `bfloat16` and the 8-bit floats have the types of ml_dtypes.

    Raises:
        InputError: OL203.
    """
    import numpy as np
    import onnx

    if not is_external(tensor):
        return onnx.numpy_helper.to_array(tensor)
    extent = extent_of(tensor, model)
    kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    if not extent.length:
        return np.empty(tuple(tensor.dims), kind)
    file = locate(extent.location, model)
    if file.stat().st_size < extent.offset + extent.length:
        raise _too_short(extent, extent.offset + extent.length - file.stat().st_size, model)
    return np.memmap(file, kind, "r", extent.offset, tuple(tensor.dims))


def kept_apart(tensor: TensorProto) -> TensorProto:
    """Returns a copy that has its values, or knows where they lie, whatever becomes of the model."""
    import onnx

    copy = onnx.TensorProto()
    copy.CopyFrom(tensor)
    return copy


def take_in(tensor: TensorProto, model: Path) -> None:
    """Reads an external tensor's values into it, in place."""
    tensor.raw_data = b"".join(raw_pieces(tensor, model))
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")


def _external_pieces(extent: Extent, model: Path) -> Iterator[bytes]:
    left = extent.length
    with locate(extent.location, model).open("rb") as file:
        file.seek(extent.offset)
        while left:
            piece = file.read(min(left, CHUNK))
            if not piece:
                raise _too_short(extent, left, model)
            left -= len(piece)
            yield piece


def _too_short(extent: Extent, missing: int, model: Path) -> Exception:
    claim = f"the external data {extent.location!r} end {missing} bytes too early"
    return fail(InputError, "OL203", claim, place=str(model), hint="the file is truncated: fetch it again")
