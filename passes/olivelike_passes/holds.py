"""What a model holds already: quantized operators, half-precision values, sparse tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from olivelike.onnxfile.quantization import quantization_of, told
from olivelike.onnxfile.quantized import is_quantized
from olivelike.onnxfile.read import opset
from olivelike.onnxfile.walk import graphs, nodes, tensors

if TYPE_CHECKING:
    from onnx import ModelProto


def quantized_operators(model: ModelProto) -> tuple[str, ...]:
    """Returns the types of operators in a model that compute on quantized values, sorted; empty for a float model."""
    return tuple(sorted({node.op_type for node in nodes(model) if is_quantized(node.op_type)}))


def quantized_reasons(model: ModelProto) -> list[str]:
    """Returns the reason against quantizing a model that is quantized already: how it is, and the way back."""
    operators = quantized_operators(model)
    if not operators:
        return []
    found = told(style for style in quantization_of(model) if style.operators)
    way_out = "put `dequantize: {}` before it"
    return [f"the model is quantized already ({', '.join(operators)}): {found}; {way_out}"]


def unknown_operators(model: ModelProto) -> tuple[str, ...]:
    """Returns the operators that a model calls ONNX's own and that its opset does not have, sorted.

    The runtime keeps some of its own so (`SimplifiedLayerNormalization`, `LayerNormalization` before opset 17): it runs them, and
    nobody else takes the model for a valid one.
    """
    import onnx

    version = opset(model)
    kinds = {node.op_type for node in nodes(model) if node.domain in ("", "ai.onnx")}
    return tuple(sorted(kind for kind in kinds if not onnx.defs.has(kind, version, "")))


def has_half(model: ModelProto) -> bool:
    """Whether a model holds weights, inputs or outputs in half precision (float16 or bfloat16)."""
    from onnx import TensorProto

    half = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
    ends = (*model.graph.input, *model.graph.output)
    held = any(tensor.data_type in half for tensor in tensors(model))
    return held or any(end.type.tensor_type.elem_type in half for end in ends)


def has_sparse(model: ModelProto) -> bool:
    """Whether a model holds sparse tensors, as initializers or in `Constant` nodes."""
    return any(graph.sparse_initializer for graph in graphs(model)) or any(
        attribute.HasField("sparse_tensor") or attribute.sparse_tensors
        for node in nodes(model)
        for attribute in node.attribute
    )
