"""One tensor at a time: its bytes in pieces, its values as an array; nothing else of the external data is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.digest import CHUNK
from olivelike.errors import InputError, fail
from olivelike.onnxfile.external import Extent, extent_of, is_external, locate

if TYPE_CHECKING:
    from onnx import TensorProto


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
                claim = f"the external data {extent.location!r} end {left} bytes too early"
                raise fail(InputError, "OL203", claim, place=str(model), hint="the file is truncated: fetch it again")
            left -= len(piece)
            yield piece
