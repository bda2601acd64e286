"""A structure in an opset that has the operators which quantization writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import PassContext
from olivelike.onnxfile.read import opset
from olivelike_passes.graph.convert_opset import ConvertOpset, ConvertOpsetConfig

if TYPE_CHECKING:
    from onnx import ModelProto


def raised(model: ModelProto, needed: int, usual: int, source: Artifact, context: PassContext) -> ModelProto:
    """Returns a model as it is if its opset has what is needed, or raised to the usual one.

    Args:
        model: a structure.
        needed: the opset that has the operators.
        usual: where to go if the model's is older.
        source: the artifact that it was read from.
        context: what the engine offers.

    Raises:
        RefusedError: OL301, there is no way up (`convert_opset` says why).
    """
    found = opset(model)
    if not found:  # operators of other domains alone
        model.opset_import.add(domain="", version=usual)
    if not found or found >= needed:
        return model
    return ConvertOpset().rewrite(model, source, ConvertOpsetConfig(target=usual), context).model
