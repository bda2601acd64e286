"""Read a model: its structure alone or with its weights; its opset; what goes in and comes out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.errors import InputError, fail
from olivelike.onnxfile.contents import looks_like
from olivelike.onnxfile.walk import tensors

if TYPE_CHECKING:
    from onnx import ModelProto, TypeProto, ValueInfoProto

UNKNOWN_RANK = "..."
WIDE_NAMES = {"float": "float32", "double": "float64"}


@dataclass(frozen=True, slots=True)
class Value:
    """A graph's input or output.

    Attributes:
        name: its name.
        dtype: element type in lower case as numpy calls it (`float32`, `int64`, `string`, `bfloat16`), or `sequence`,
            `map`, `optional`, `sparse` for what is no dense tensor.
        shape: a number, the name of a dynamic dimension, or `?`; `("...",)` where not even the rank is known.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model takes and gives, in the graph's order; initializers that are listed as inputs are left out."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


def read_structure(path: Path) -> ModelProto:
    """Reads a model without its external data. (What lies inside the file itself is read with it.)

    Raises:
        InputError: OL201, there is no such file; OL202, it is no ONNX model.
    """
    import onnx

    if not path.is_file():
        claim = f"{path} is a folder, not a model file" if path.is_dir() else f"there is no file {path}"
        raise fail(InputError, "OL201", claim, place=str(path), hint="is the path right?")
    try:
        model = onnx.load(path, format="protobuf", load_external_data=False)
    except _decode_error() as error:
        raise _not_onnx(path) from error
    if not model.ir_version or not model.HasField("graph"):
        raise _not_onnx(path)
    return model


def read_model(path: Path) -> ModelProto:
    """Reads a model with its external data inside.

    Raises:
        InputError: OL201, OL202; OL203, external data are missing, truncated or outside the model's folder.
    """
    from olivelike.onnxfile.external import is_external  # these two build on read_structure
    from olivelike.onnxfile.tensors import take_in

    model = read_structure(path)
    for tensor in tensors(model):
        if is_external(tensor):
            take_in(tensor, path)
    return model


def opset(model: ModelProto, domain: str = "") -> int:
    """Returns the version of an operator set that the model imports, 0 when it imports none of that domain.

    `ai.onnx` is another name of the default domain; the highest version counts where an import is repeated.
    """
    names = {"", "ai.onnx"} if domain in ("", "ai.onnx") else {domain}
    return max((entry.version for entry in model.opset_import if entry.domain in names), default=0)


def signature(path: Path) -> Signature:
    """Returns what the model in a file takes and gives.

    Raises:
        InputError: OL201, OL202.
    """
    return signature_of(read_structure(path))


def signature_of(model: ModelProto) -> Signature:
    """Returns what a model takes and gives."""
    held = {tensor.name for tensor in model.graph.initializer}
    held |= {sparse.values.name for sparse in model.graph.sparse_initializer}
    return Signature(
        tuple(_value(entry) for entry in model.graph.input if entry.name not in held),
        tuple(_value(entry) for entry in model.graph.output),
    )


def element_type(number: int) -> str:
    """Returns an element type as numpy calls it (`float32`, `int64`, `bfloat16`), or that it is unknown.

    >>> element_type(1), element_type(16), element_type(999)
    ('float32', 'bfloat16', 'unknown type 999')
    """
    import onnx

    if number not in onnx.TensorProto.DataType.values():
        return f"unknown type {number}"
    name: str = onnx.TensorProto.DataType.Name(number).lower()
    return WIDE_NAMES.get(name, name)


def _value(entry: ValueInfoProto) -> Value:
    match entry.type.WhichOneof("value"):
        case "tensor_type":
            tensor = entry.type.tensor_type
            return Value(entry.name, element_type(tensor.elem_type), _shape(tensor))
        case None:
            return Value(entry.name, "undefined", (UNKNOWN_RANK,))
        case kind:
            return Value(entry.name, kind.removesuffix("_type").removesuffix("_tensor"), (UNKNOWN_RANK,))


def _shape(tensor: TypeProto.Tensor) -> tuple[int | str, ...]:
    if not tensor.HasField("shape"):
        return (UNKNOWN_RANK,)
    return tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in tensor.shape.dim)


def _decode_error() -> type[Exception]:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    error: type[Exception] = DecodeError
    return error


def _not_onnx(path: Path) -> Exception:
    what = looks_like(path)
    return fail(
        InputError, "OL202", f"{path.name} is no readable ONNX model: {what.claim}", place=str(path), hint=what.hint
    )
