"""Types and shapes of a model's values as ONNX infers them, on a copy that leaves large weights out.

The tool copies what it is given, and needs a weight's type and shape alone, unless it is small: then it may be a shape, axes
or sizes, whose values decide about others (`light` says what counts as small). Functions of the model are looked into. Of
operators in domains that ONNX does not know, and of what follows from them, nothing is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.onnxfile.light import put_back, without_weights
from olivelike.onnxfile.walk import graphs

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass(frozen=True, slots=True)
class Inferred:
    """What inference found.

    Attributes:
        model: the model with the types and shapes of its inner values, as far as they are known, without its large weights.
        failed: what inference stumbled over, in its words; empty where it went through.
    """

    model: ModelProto
    failed: str = ""


def inferred(model: ModelProto, path: Path | None = None) -> ModelProto:
    """Returns a copy with the types and shapes of its inner values, as far as they are known, without its large weights.

    Args:
        model: a structure; it stays as it is.
        path: the file it was read from; without it, small tensors beside the file are not looked into either.

    Raises:
        InferenceError: of `onnx.shape_inference`, for what cannot be passed by, as an operator set that is not imported.
    """
    from onnx.shape_inference import infer_shapes

    return infer_shapes(without_weights(model, path), data_prop=True)


def inferred_strictly(model: ModelProto, path: Path | None = None) -> Inferred:
    """Infers so that an operator which cannot have its inputs is told; where one is, what is known all the same is found."""
    from onnx.shape_inference import InferenceError, infer_shapes

    light = without_weights(model, path)
    try:
        return Inferred(infer_shapes(light, check_type=True, strict_mode=True, data_prop=True))
    except (InferenceError, RuntimeError) as error:
        said = " ".join(str(error).split())[:300]
    return Inferred(infer_shapes(light, data_prop=True), said)


def typed(model: ModelProto, path: Path | None = None) -> ModelProto:
    """Returns a copy that states the types and shapes of its inner values; its weights are those of the model."""
    found = inferred(model, path)
    put_back(found, model)
    return found


def forget_stated_shapes(model: ModelProto) -> None:
    """Takes out what a model says of values that it computes, in place: it may be wrong, and stand in inference's way."""
    for graph in graphs(model):
        del graph.value_info[:]
        for entry in graph.output:
            if entry.type.HasField("tensor_type"):
                entry.type.tensor_type.ClearField("shape")
