"""Where a static quantizer's nodes go: the runtime's tool decides it, on a model whose weights are stand-ins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import PassContext
from olivelike.errors import RefusedError
from olivelike.onnxfile.made import Made
from olivelike.onnxfile.tensors import inlined
from olivelike_passes.graph.infer import inferred
from olivelike_passes.graph.light import is_stand_in, without_weights
from olivelike_passes.graph.value_types import ValueTypes
from olivelike_passes.header import restore_header
from olivelike_passes.quantization.static.sources import Sources
from olivelike_passes.quantization.static.weights import Weight, announce_codes, stand_in
from olivelike_passes.quantization.tool import Activations, Scheme, quantize_statically
from olivelike_passes.runtime import quiet
from olivelike_passes.weights import refuse_unless_finite

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass(frozen=True, slots=True)
class Job:
    """What the tool is told.

    Attributes:
        scheme: types, granularity, which nodes.
        activations: their type and ranges.
        format: pairs of nodes around operators, or integer operators.
    """

    scheme: Scheme
    activations: Activations
    format: Literal["qdq", "qoperator"]


def inserted(
    model: ModelProto, source: Artifact, sources: Sources, weights: Mapping[str, Weight], job: Job, context: PassContext
) -> tuple[ModelProto, Made]:
    """Returns the quantized model, whose weights' codes are announced and made later.

    Args:
        model: a structure whose constants are initializers and whose nodes have names.
        source: the artifact that it was read from.
        sources: the model's weights.
        weights: those of them whose codes are made later, by name.
        job: what the tool is told.
        context: what the engine offers.

    Raises:
        RefusedError: OL301, a weight is not finite, or the tool finds nothing, or cannot handle the model.
    """
    import onnx

    typed = _typed(model, source, context)
    originals = {tensor.name: tensor for tensor in model.graph.initializer}
    for tensor in typed.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(stand_in(weights[tensor.name]))
        elif sources.changed(tensor.name):
            tensor.CopyFrom(onnx.numpy_helper.from_array(sources.values(tensor.name), tensor.name))
        elif is_stand_in(tensor):
            tensor.CopyFrom(inlined(originals[tensor.name], source.model))
    refuse_unless_finite(typed)
    quantized = quantize_statically(typed, job.scheme, job.activations, job.format)
    made = Made()
    announce_codes(quantized, weights, sources, made)
    restore_header(quantized, model)
    return quantized, made


def _typed(model: ModelProto, source: Artifact, context: PassContext) -> ModelProto:
    """Returns a copy without large weights in which the types of inner values are stated, as far as they can be found."""
    import onnx

    with quiet():
        typed = inferred(without_weights(model, source.model)).model
    graph = typed.graph
    known = {entry.name for entry in (*graph.value_info, *graph.output) if entry.type.tensor_type.elem_type}
    untyped = [name for node in graph.node for name in node.output if name and name not in known]
    if untyped:
        types = ValueTypes(model, source, context.scratch)
        for name in untyped:
            try:
                kind = types.of(name).type.tensor_type.elem_type
            except RefusedError:  # the tool leaves what it does not know
                continue
            # Only the type: the runtime's shapes may hold names of dimensions of its own making.
            graph.value_info.append(onnx.helper.make_tensor_value_info(name, kind, None))
    return typed
