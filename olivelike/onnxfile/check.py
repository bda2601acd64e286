"""Check a model: that the file is what it claims before anything is built on it, that a written graph is valid ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.errors import StepError, fail
from olivelike.onnxfile.external import check_external, is_external
from olivelike.onnxfile.read import read_structure
from olivelike.onnxfile.walk import tensors

if TYPE_CHECKING:
    from onnx import ModelProto


def check_model_file(path: Path) -> None:
    """Checks that a file is an ONNX model and that its external data are there; reads its structure only.

    Raises:
        InputError: OL201, it is missing; OL202, it is empty, truncated or something else (the claim says what);
            OL203, external data are missing, too short, or outside the model's folder.
    """
    check_external(read_structure(path), path)


def validate_graph(path: Path) -> None:
    """Checks a model against the ONNX specification (`onnx.checker`), at any size.

    Raises:
        InputError: as `check_model_file`.
        StepError: OL304, the graph is invalid.
    """
    import onnx

    structure = read_structure(path)
    check_external(structure, path)
    has_external = _empty_external(structure)
    try:
        # By path, the checker itself reads the file: a model near 2 GiB is not serialized once more. But by path it also
        # refuses external data that are links, so that those models are checked without their data.
        onnx.checker.check_model(structure if has_external else str(path))
    except onnx.checker.ValidationError as error:
        raise fail(StepError, "OL304", f"the graph is invalid: {_first_lines(str(error))}", place=str(path)) from error


def _empty_external(structure: ModelProto) -> bool:
    found = False
    for tensor in tensors(structure):
        if is_external(tensor):
            found = True
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
            tensor.dims[:] = [0]
    return found


def _first_lines(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return "; ".join(lines[:2])
