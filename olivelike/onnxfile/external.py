"""External data: which files beside a model hold its tensors, and whether they stay in its folder and are long enough.

The onnx package refuses external data that is a hard or symbolic link. A store may well use links, so files are opened here;
what must hold is that a resolved path stays inside the model's folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from olivelike.errors import InputError, fail
from olivelike.onnxfile.read import read_structure
from olivelike.onnxfile.sizes import byte_count
from olivelike.onnxfile.walk import tensors

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto


@dataclass(frozen=True, slots=True)
class Extent:
    """Where an external tensor lies: a relative POSIX name, the first byte, and how many bytes."""

    location: str
    offset: int
    length: int


def external_files(model: Path) -> tuple[str, ...]:
    """Returns the relative POSIX names of a model's external-data files, sorted; no weight is loaded.

    Raises:
        InputError: OL201 or OL202, the model itself cannot be read; OL203, a name points outside its folder.
    """
    return external_names(read_structure(model), model)


def model_files(model: Path) -> tuple[str, ...]:
    """Returns the model's own file name and its external-data files: all that must travel together."""
    return (model.name, *external_files(model))


def external_names(structure: ModelProto, model: Path) -> tuple[str, ...]:
    """Returns what `external_files` does, for a structure that has been read already."""
    found = {extent_of(tensor, model).location for tensor in tensors(structure) if is_external(tensor)}
    return tuple(sorted(found))


def is_external(tensor: TensorProto) -> bool:
    """Whether a tensor's values lie in another file."""
    return bool(tensor.data_location == tensor.EXTERNAL)


def extent_of(tensor: TensorProto, model: Path) -> Extent:
    """Returns where an external tensor lies.

    Raises:
        InputError: OL203, the name points outside the folder, or offset and length do not fit the tensor.
    """
    entries = {entry.key: entry.value for entry in tensor.external_data}
    needed = byte_count(tensor)
    location = entries.get("location", "")
    if not _stays_inside(location):
        claim = f"the tensor {tensor.name!r} has its data in {location!r}, outside the model's folder"
        raise fail(
            InputError, "OL203", claim, place=str(model), hint="external data must lie beside or below the model"
        )
    try:
        extent = Extent(location, int(entries.get("offset", "0")), int(entries.get("length", needed)))
    except ValueError as error:
        claim = f"the tensor {tensor.name!r} has an offset or length that is no number: {error}"
        raise fail(InputError, "OL203", claim, place=str(model)) from error
    if extent.offset < 0 or extent.length != needed:
        claim = f"the tensor {tensor.name!r} needs {needed} bytes, its entry gives {extent.length} at {extent.offset}"
        raise fail(InputError, "OL203", claim, place=str(model))
    return extent


def check_external(structure: ModelProto, model: Path) -> None:
    """Checks that every external tensor's bytes are there, inside the model's folder; reads none of them.

    Raises:
        InputError: OL203.
    """
    sizes: dict[str, int] = {}
    for tensor in tensors(structure):
        if is_external(tensor):
            extent = extent_of(tensor, model)
            if extent.location not in sizes:
                sizes[extent.location] = locate(extent.location, model).stat().st_size
            _check_length(tensor, extent, sizes[extent.location], model)


def locate(location: str, model: Path) -> Path:
    """Returns the external file's path, resolved.

    Raises:
        InputError: OL203, it is missing, or a link that leaves the model's folder.
    """
    folder = model.parent.resolve()
    path = (folder / location).resolve()
    if not path.is_relative_to(folder):
        claim = f"the external data {location!r} are a link to {path}, outside the model's folder"
        raise fail(InputError, "OL203", claim, place=str(model), hint="copy the file beside the model")
    if not path.is_file():
        claim = f"the external data {location!r} are missing"
        raise fail(InputError, "OL203", claim, place=str(model), hint=f"put {location} beside {model.name}")
    return path


def _check_length(tensor: TensorProto, extent: Extent, size: int, model: Path) -> None:
    end = extent.offset + extent.length
    if end > size:
        claim = f"the external data {extent.location!r} have {size} bytes, but the tensor {tensor.name!r} ends at {end}"
        raise fail(InputError, "OL203", claim, place=str(model), hint="the file is truncated: fetch it again")


def _stays_inside(location: str) -> bool:
    # A backslash or a drive letter is a plain character on POSIX and a way out of the folder on Windows.
    names = PurePosixPath(location).parts
    foreign = "\\" in location or ":" in location or PureWindowsPath(location).is_absolute()
    return bool(names) and not foreign and ".." not in names and not location.startswith("/")


def bytes_of(model: ModelProto) -> int:
    """Returns the bytes of a model as it would be written: its own, and those of the tensors that lie outside."""
    return int(model.ByteSize()) + sum(byte_count(tensor) for tensor in tensors(model) if is_external(tensor))


def inside_bytes(model: ModelProto) -> int:
    """Returns the bytes of the tensors that lie inside the model's file."""
    return sum(byte_count(tensor) for tensor in tensors(model) if not is_external(tensor))
