"""Write a model: one file while it is small, else one file of external data beside it; the same model, the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.onnxfile.external import is_external
from olivelike.onnxfile.made import Made
from olivelike.onnxfile.sizes import byte_count
from olivelike.onnxfile.tensors import raw_pieces, take_in
from olivelike.onnxfile.walk import initializers, other_tensors, tensors

if TYPE_CHECKING:
    from typing import BinaryIO

    from onnx import ModelProto, TensorProto

EXTERNAL_ABOVE = 1_500_000_000
"""Bytes of tensors above which they go to a file of their own; protobuf ends at 2 GiB, and copies are made on the way."""
OUTSIDE_ABOVE = 16 << 20
"""The same for a model whose weights lie outside already: whoever reads its structure need not read them."""
SMALL = 1024
"""Tensors below so many bytes stay inside: shape inference and constant folding read them."""
ALIGNMENT = 4096
"""External tensors start at multiples of it, so that they can be memory-mapped."""


def write_model(
    model: ModelProto,
    folder: Path,
    name: str = "model.onnx",
    *,
    external_above: int = EXTERNAL_ABOVE,
    beside: Path = Path(),
    made: Made | None = None,
) -> Path:
    """Writes a model and returns its path. Nothing in the model is stripped.

    The model is taken over: where tensors move in or out of it, the object changes with them.

    Args:
        model: the model; its external tensors, if any, are streamed from where they lie.
        folder: an existing folder, not the one that the model's external data lie in.
        name: the file's name; external data go to `<name>.data`.
        external_above: the bytes of tensors from which on they are written as external data.
        beside: the file the model was read from, beside which its external data lie.
        made: the values of initializers that have none yet.

    Raises:
        InputError: OL203, external data of the source cannot be read.
    """
    path = folder / name
    made = made or Made()
    if sum(map(byte_count, tensors(model))) > external_above:
        _move_out(model, folder / f"{name}.data", beside, made)
    else:
        _take_in(initializers(model), beside, made)
    # What is announced are initializers: a tensor in an attribute may have the name of one.
    _take_in(other_tensors(model), beside, Made())
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path


def _take_in(found: Iterable[TensorProto], beside: Path, made: Made) -> None:
    for tensor in found:
        if tensor.name in made:
            tensor.raw_data = bytes(made.take(tensor))
        elif is_external(tensor):
            take_in(tensor, beside)


def _move_out(model: ModelProto, data: Path, beside: Path, made: Made) -> None:
    moved = []
    with data.open("wb") as file:
        for tensor in initializers(model):
            if _may_move(tensor):
                offset = _pad(file)
                for piece in _pieces(tensor, beside, made):
                    file.write(piece)
                moved.append((tensor, offset))
            else:
                _take_in([tensor], beside, made)
    # Not before all is written: what is made of a tensor that stays too is read from where it lay.
    for tensor, offset in moved:
        _refer(tensor, data.name, offset)


def _pieces(tensor: TensorProto, beside: Path, made: Made) -> Iterator[bytes | memoryview]:
    if tensor.name in made:
        yield made.take(tensor)
    else:
        yield from raw_pieces(tensor, beside)


def _may_move(tensor: TensorProto) -> bool:
    return tensor.data_type != tensor.STRING and byte_count(tensor) >= SMALL


def _pad(file: BinaryIO) -> int:
    offset = -(-file.tell() // ALIGNMENT) * ALIGNMENT
    file.write(b"\0" * (offset - file.tell()))
    return offset


def _refer(tensor: TensorProto, location: str, offset: int) -> None:
    length = byte_count(tensor)
    for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "external_data"):
        tensor.ClearField(field)
    tensor.data_location = tensor.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)
