"""ONNX's shape inference, strict where that works, with what it failed at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass(frozen=True, slots=True)
class Inferred:
    """What inference found.

    Attributes:
        model: the model with the types and shapes of its inner values, as far as they are known.
        failed: what inference stumbled over, in its words; empty where it went through.
    """

    model: ModelProto
    failed: str = ""


def inferred(model: ModelProto) -> Inferred:
    """Infers types and shapes; what shapes say of values is followed too. The model stays as it is."""
    from onnx.shape_inference import InferenceError, infer_shapes

    try:
        return Inferred(infer_shapes(model, check_type=True, strict_mode=True, data_prop=True))
    except (InferenceError, RuntimeError) as error:
        said = " ".join(str(error).split())[:300]
    return Inferred(infer_shapes(model, data_prop=True), said)
