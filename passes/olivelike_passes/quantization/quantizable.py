"""What can be quantized, and whether a model holds any of it. Reads structure only."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from olivelike.onnxfile.read import opset
from olivelike.onnxfile.walk import graphs
from olivelike_passes.holds import has_half, quantized_operators
from olivelike_passes.naming import unmatched
from olivelike_passes.weights import WEIGHTS_ARE_INPUTS, replaceable_weights

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

DYNAMIC_TYPES = ("Attention", "Conv", "EmbedLayerNormalization", "Gather", "Gemm", "LSTM", "MatMul", "Transpose")
"""What the runtime quantizes dynamically (onnxruntime.quantization.registry, IntegerOpsRegistry); `Gemm` as `MatMul`."""
STATIC_TYPES = (
    "Add", "ArgMax", "AveragePool", "BatchNormalization", "Clip", "Concat", "Conv", "ConvTranspose", "CumSum",
    "EmbedLayerNormalization", "Flatten", "Gather", "GatherElements", "Gemm", "GlobalAveragePool", "InstanceNormalization",
    "LayerNormalization", "LeakyRelu", "MatMul", "MaxPool", "Mul", "Pad", "Relu", "Reshape", "Resize", "Sigmoid", "Slice",
    "Softmax", "Split", "Squeeze", "TopK", "Transpose", "Unsqueeze", "Where",
)  # fmt: skip
"""What the runtime quantizes statically (QLinearOpsRegistry and QDQRegistry together)."""
WEIGHT_INPUTS = {
    "Attention": (1,), "Conv": (1,), "EmbedLayerNormalization": (2, 3, 4), "Gather": (0,), "Gemm": (1,), "LSTM": (1, 2),
    "MatMul": (1,),
}  # fmt: skip
"""Which inputs of an operator hold the weight that dynamic quantization takes."""
FOLLOWERS = frozenset({
    "AveragePool", "Clip", "Flatten", "MaxPool", "Pad", "Relu", "Reshape", "Resize", "Slice", "Split", "Squeeze", "TopK",
    "Transpose", "Unsqueeze",
})  # fmt: skip
"""Types that the static quantizers touch only between operators that are quantized already."""
USUAL_OPSET = 17
FUSED_ONLY = frozenset({"Attention", "EmbedLayerNormalization"})
"""Types that the quantizers know from the domain `com.microsoft` alone; ONNX's own `Attention` (opset 23) is another
operator, and quantizing it as if it were the same gives an invalid model (ONNX Runtime 1.32.0)."""


def common_reasons(
    model: ModelProto, op_types: Sequence[str], known: Sequence[str], exclude_nodes: Sequence[str]
) -> list[str]:
    """Returns the reasons against quantizing a model that hold for every way of quantization."""
    reasons = []
    quantized = quantized_operators(model)
    if quantized:
        reasons.append(f"the model is quantized already ({', '.join(quantized)})")
    if has_half(model):
        reasons.append("the model is in half precision: quantize the float32 model")
    strange = sorted(set(op_types) - set(known))
    if strange:
        reasons.append(
            f"op_types names {', '.join(strange)}, which the runtime does not quantize; it knows {', '.join(known)}"
        )
    reasons += [f"exclude_nodes has {pattern!r}, which matches no node" for pattern in unmatched(model, exclude_nodes)]
    return reasons


def opset_reason(model: ModelProto, needed: int, what: str) -> list[str]:
    """Returns the reason against a model whose opset is below what is needed, with the way out."""
    found = opset(model)
    if found >= needed or not found:
        return []
    way_out = f"put `convert_opset: {{target: {max(needed, USUAL_OPSET)}}}` before it"
    return [f"{what} needs opset {needed} or later, and the model has {found}: {way_out}"]


def computing_nodes(model: ModelProto, op_types: Collection[str]) -> tuple[NodeProto, ...]:
    """Returns the main graph's nodes of some types that a static quantizer starts from."""
    left_alone = frozenset(untouchable(model))
    types = frozenset(op_types) - FOLLOWERS
    return tuple(node for node in model.graph.node if node.op_type in types and node.name not in left_alone)


def is_foreign(node: NodeProto) -> bool:
    """Whether a node merely shares the name of an operator that the quantizers know."""
    if node.op_type in FUSED_ONLY:
        return bool(node.domain != "com.microsoft")
    return node.domain not in ("", "ai.onnx", "com.microsoft")


def untouchable(model: ModelProto) -> Iterator[str]:
    """Yields the names of nodes that no quantizer may touch: foreign ones, and those whose weights may be replaced."""
    replaceable = replaceable_weights(model)
    for node in model.graph.node:
        if is_foreign(node) or replaceable.intersection(node.input):
            yield node.name


def nothing_reason(
    model: ModelProto, op_types: Collection[str], found: Collection[object], *, looks_inside: bool = False
) -> list[str]:
    """Returns the reason against a model without anything to quantize, as helpful as its structure allows.

    Args:
        model: a structure.
        op_types: what was looked for.
        found: what was found.
        looks_inside: whether branches and loops were looked into.
    """
    if found:
        return []
    wanted = ", ".join(sorted(op_types))
    if replaceable_weights(model):
        return [WEIGHTS_ARE_INPUTS]
    inner = {node.op_type for graph in list(graphs(model))[1:] for node in graph.node}
    if not looks_inside and inner.intersection(op_types):
        return ["what could be quantized lies inside a branch or a loop, where the quantizer does not look"]
    return [f"the model has nothing to quantize: no {wanted} with float32 values"]
