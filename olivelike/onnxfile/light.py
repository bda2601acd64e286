"""A model without its large weights, for tools that hold a model whole: stand-ins of the same type and shape, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.onnxfile.external import is_external
from olivelike.onnxfile.sizes import byte_count
from olivelike.onnxfile.tensors import take_in
from olivelike.onnxfile.walk import initializers, tensors

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

SMALL = 8192
"""Bytes up to which a tensor's values come along, 1,024 int64: shapes, axes, pads, whose values tools look at."""
STAND_IN = "stand-in"


def without_weights(model: ModelProto, path: Path | None) -> ModelProto:
    """Returns a copy in which large initializers of the main graph have no values: external tensors that lie nowhere.

    Other large tensors (`Constant` nodes, branches) are rare, and copied as they are; small external ones are read.

    Args:
        model: a structure; it stays as it is.
        path: the file it was read from, beside which its external data lie; without it none are read.
    """
    import onnx

    light = onnx.ModelProto()
    for field, value in model.ListFields():
        if field.name == "graph":
            _copy_light(model, light)
        elif field.is_repeated:
            getattr(light, field.name).extend(value)
        else:
            setattr(light, field.name, value)
    for tensor in tensors(light) if path else ():
        if path and is_external(tensor) and not is_stand_in(tensor) and byte_count(tensor) <= SMALL:
            take_in(tensor, path)
    return light


def is_stand_in(tensor: TensorProto) -> bool:
    """Whether a tensor stands for one whose values were left out."""
    return is_external(tensor) and any(entry.value == STAND_IN for entry in tensor.external_data)


def put_back(light: ModelProto, model: ModelProto) -> None:
    """Replaces the stand-ins in a model by the tensors of these names in the main graph of the model they came from."""
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    for tensor in initializers(light):
        if is_stand_in(tensor):
            tensor.CopyFrom(held[tensor.name])


def _copy_light(model: ModelProto, light: ModelProto) -> None:
    for field, value in model.graph.ListFields():
        if field.name == "initializer":
            for tensor in value:
                light.graph.initializer.append(_stand_in(tensor) if _is_large(tensor) else tensor)
        elif field.is_repeated:
            getattr(light.graph, field.name).extend(value)
        else:
            setattr(light.graph, field.name, value)


def _is_large(tensor: TensorProto) -> bool:
    return tensor.data_type != tensor.STRING and byte_count(tensor) > SMALL


def _stand_in(tensor: TensorProto) -> TensorProto:
    import onnx

    made = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    made.data_location = onnx.TensorProto.EXTERNAL
    made.external_data.add(key="location", value=STAND_IN)
    return made
