"""Standard operators with the same output shapes as the runtime's own, so that ONNX's shape inference can pass them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from onnx import NodeProto

Shape: TypeAlias = tuple[int, ...]
RUNTIME = "com.microsoft"
CONV = ("kernel_shape", "strides", "pads", "dilations", "group", "auto_pad", "ceil_mode", "count_include_pad")


@dataclass(frozen=True, slots=True)
class StandIn:
    """What takes a node's place while shapes are inferred.

    Attributes:
        nodes: standard nodes that give the node's outputs.
        given: tensors that they take and the model lacks: name to shape.
    """

    nodes: tuple[NodeProto, ...]
    given: Mapping[str, Shape]


Rule: TypeAlias = Callable[["NodeProto", Mapping[str, Shape]], StandIn]


def stand_in(node: NodeProto, weights: Mapping[str, Shape]) -> StandIn:
    """Returns what takes a node's place: itself where ONNX knows it, or where nobody knows its output's shape.

    Args:
        node: any node.
        weights: the shapes of the initializers.
    """
    rule = RULES.get(node.op_type) if node.domain == RUNTIME else STANDARD.get(node.op_type)
    return rule(node, weights) if rule else StandIn((node,), {})


def attribute(node: NodeProto, name: str, default: object = None) -> object:
    """Returns an attribute's value, texts as `str`; the default where the node has none."""
    import onnx

    for each in node.attribute:
        if each.name == name:
            value: object = onnx.helper.get_attribute_value(each)
            return value.decode() if isinstance(value, bytes) else value
    return default


def whole(node: NodeProto, name: str, default: int) -> int:
    """Returns an attribute that is a whole number."""
    value = attribute(node, name, default)
    return value if isinstance(value, int) else default


def _node(kind: str, node: NodeProto, inputs: list[str], keep: tuple[str, ...] = (), output: int = 0) -> NodeProto:
    import onnx

    made: NodeProto = onnx.helper.make_node(kind, inputs, [node.output[output]])
    made.attribute.extend(each for each in node.attribute if each.name in keep)
    return made


def _as(kind: str, *places: int, keep: tuple[str, ...] = ()) -> Rule:
    """Returns the rule of an operator that is a standard one on some of its inputs."""

    def rule(node: NodeProto, weights: Mapping[str, Shape]) -> StandIn:
        del weights
        inputs = [node.input[place] for place in places if place < len(node.input) and node.input[place]]
        return StandIn((_node(kind, node, inputs, keep),), {})

    return rule


def _normalized_sum(node: NodeProto, weights: Mapping[str, Shape]) -> StandIn:
    """Both the normalized output and the sum before it, the fourth output, have the input's shape."""
    del weights
    places = [place for place in (0, 3) if place < len(node.output) and node.output[place]]
    return StandIn(tuple(_node("Identity", node, [node.input[0]], output=place) for place in places), {})


def _times(width: Callable[[NodeProto, Mapping[str, Shape]], Shape]) -> Rule:
    """Returns the rule of an operator whose output is its first input times a matrix of a known shape."""

    def rule(node: NodeProto, weights: Mapping[str, Shape]) -> StandIn:
        shape = width(node, weights)
        if not shape:
            return StandIn((node,), {})
        name = f"matrix of {node.output[0]}"
        return StandIn((_node("MatMul", node, [node.input[0], name]),), {name: shape})

    return rule


def _n_bits(node: NodeProto, weights: Mapping[str, Shape]) -> Shape:
    del weights
    return whole(node, "K", 0), whole(node, "N", 0)


def _values(node: NodeProto, weights: Mapping[str, Shape]) -> Shape:
    """The fused projection [hidden, q + k + v] leaves the values' width."""
    packed = weights.get(node.input[1], ())
    if len(packed) != 2:
        return ()
    sizes = attribute(node, "qkv_hidden_sizes")
    return packed[0], sizes[2] if isinstance(sizes, list) else packed[1] // 3


def _fused_matmul(node: NodeProto, weights: Mapping[str, Shape]) -> StandIn:
    import onnx

    del weights
    left = "ki" if whole(node, "transA", 0) else "ik"
    right = "jk" if whole(node, "transB", 0) else "kj"
    made = _node("Einsum", node, list(node.input[:2]))
    made.attribute.append(onnx.helper.make_attribute("equation", f"...{left},...{right}->...ij"))
    return StandIn((made,), {})


def _integer_to_float(node: NodeProto, weights: Mapping[str, Shape]) -> StandIn:
    import onnx

    del weights
    product = f"product of {node.output[0]}"
    inner = onnx.helper.make_node("MatMulInteger", list(node.input[:2]), [product])
    cast = _node("Cast", node, [product])
    cast.attribute.append(onnx.helper.make_attribute("to", onnx.TensorProto.FLOAT))
    return StandIn((inner, cast), {})


def _concat(node: NodeProto, weights: Mapping[str, Shape]) -> StandIn:
    """Inputs are the output's scale and zero point, then tensor, scale and zero point of each part."""
    del weights
    return StandIn((_node("Concat", node, list(node.input[2::3]), ("axis",)),), {})


LIKE_FIRST = _as("Identity", 0)
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(
        ("Gelu", "FastGelu", "QuickGelu", "RotaryEmbedding", "MultiHeadAttention", "GroupQueryAttention"), LIKE_FIRST
    ),
    **dict.fromkeys(("QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax", "GroupNorm", "BiasSplitGelu"), LIKE_FIRST),
    **dict.fromkeys(("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"), _normalized_sum),
    "BiasGelu": _as("Add", 0, 1),
    "QLinearAdd": _as("Add", 0, 3),
    "QLinearMul": _as("Mul", 0, 3),
    "QLinearConcat": _concat,
    "QLinearGlobalAveragePool": _as("GlobalAveragePool", 0),
    "QLinearAveragePool": _as("AveragePool", 0, keep=CONV),
    "FusedConv": _as("Conv", 0, 1, keep=CONV),
    "FusedGemm": _as("Gemm", 0, 1, keep=("transA", "transB")),
    "QGemm": _as("Gemm", 0, 3, keep=("transA", "transB")),
    "FusedMatMul": _fused_matmul,
    "DynamicQuantizeMatMul": _as("MatMul", 0, 1),
    "MatMulIntegerToFloat": _integer_to_float,
    "MatMulNBits": _times(_n_bits),
    "Attention": _times(_values),
    "QAttention": _times(_values),
    "EmbedLayerNormalization": _as("Gather", 2, 0),
    "QuantizeLinear": _as("QuantizeLinear", 0, 1, 2, keep=("axis", "block_size")),
    "DequantizeLinear": _as("DequantizeLinear", 0, 1, 2, keep=("axis", "block_size")),
}
"""The runtime's own operators: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md"""

STANDARD: Mapping[str, Rule] = {"SimplifiedLayerNormalization": LIKE_FIRST}
"""Operators that the runtime puts into the standard domain, which ONNX itself does not know."""
