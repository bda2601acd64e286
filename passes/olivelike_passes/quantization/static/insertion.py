"""Where a static quantizer's nodes go: the runtime's tool decides it, on a model whose weights are stand-ins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import PassContext
from olivelike.errors import RefusedError
from olivelike.onnxfile.inference import inferred_strictly
from olivelike.onnxfile.light import is_stand_in
from olivelike.onnxfile.made import Made
from olivelike.onnxfile.tensors import inlined, mapped
from olivelike_passes.graph.value_types import ValueTypes
from olivelike_passes.header import restore_header
from olivelike_passes.quantization.static.weights import announce_codes, stand_in, weights_of
from olivelike_passes.quantization.tool import Activations, Scheme, quantize_statically
from olivelike_passes.runtime import quiet

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


def inserted(model: ModelProto, source: Artifact, job: Job, context: PassContext) -> tuple[ModelProto, Made]:
    """Returns the quantized model, whose weights' codes are announced and made later.

    Args:
        model: a structure whose constants are initializers and whose nodes have names.
        source: the artifact that it was read from.
        job: what the tool is told.
        context: what the engine offers.

    Raises:
        RefusedError: OL301, a weight is not finite, or the tool finds nothing, or cannot handle the model.
    """
    typed = _typed(model, source, context)
    readers = {tensor.name: partial(mapped, tensor, source.model) for tensor in model.graph.initializer}
    weights = {weight.tensor.name: weight for weight in weights_of(model, readers)}
    made_small = {name: stand_in(weight) for name, weight in weights.items()}
    originals = {tensor.name: tensor for tensor in model.graph.initializer}
    for tensor in typed.graph.initializer:
        if tensor.name in made_small:
            tensor.CopyFrom(made_small[tensor.name])
        elif is_stand_in(tensor):
            tensor.CopyFrom(inlined(originals[tensor.name], source.model))
    quantized = quantize_statically(typed, job.scheme, job.activations, job.format)
    made = Made()
    announce_codes(quantized, weights, made)
    restore_header(quantized, model)
    return quantized, made


def _typed(model: ModelProto, source: Artifact, context: PassContext) -> ModelProto:
    """Returns a copy without large weights in which the types of inner values are stated, as far as they can be found."""
    import onnx

    with quiet():
        typed = inferred_strictly(model, source.model).model
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
