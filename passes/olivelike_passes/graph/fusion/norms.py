"""Layer and RMS normalization, written out in small operators, become one operator.

Ba, Kiros, Hinton, "Layer Normalization" (arXiv 1607.06450); Zhang, Sennrich, "Root Mean Square Layer Normalization"
(arXiv 1910.07467).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike_passes.graph.fusion.build import fused_node, onnx_vector
from olivelike_passes.graph.fusion.net import Net
from olivelike_passes.graph.fusion.nodes import axes_of, whole
from olivelike_passes.graph.fusion.skip_norms import as_skip_norm

if TYPE_CHECKING:
    from onnx import NodeProto

LAYER_NORM_OPSET = 17
RMS_NORM_OPSET = 23


@dataclass(frozen=True, slots=True)
class Norm:
    """A normalization over the last axis.

    Attributes:
        source: what is normalized.
        centred: whether its mean is taken off: a layer normalization.
        epsilon: what is added to the variance, or to the mean square.
        weight: the vector that the result is multiplied by.
        bias: the vector that is added then; empty where there is none.
        end: the node that makes the result.
    """

    source: str
    centred: bool
    epsilon: float
    weight: str
    bias: str
    end: NodeProto


def fuse_layer_norms(net: Net) -> None:
    """Puts `LayerNormalization` in for what computes it."""
    for root in net.nodes("Sqrt"):
        norm = _norm(net, root) if net.has(root) else None
        if norm is None or not norm.centred:
            continue
        if net.opset < LAYER_NORM_OPSET:
            net.near["layer normalization needs opset 17: convert_opset before"] += 1
            continue
        made = norm.end.output[0]
        inputs = [norm.source, norm.weight, norm.bias]
        node = fused_node(
            "LayerNormalization", inputs, [made], norm.end.name, "", axis=-1, epsilon=norm.epsilon, stash_type=1
        )
        net.replace([node], "LayerNormalization")


def fuse_rms_norms(net: Net) -> None:
    """Puts `RMSNormalization` in for what computes it, or before opset 23 the runtime's operator that also adds."""
    for root in net.nodes("Sqrt"):
        norm = _norm(net, root) if net.has(root) else None
        if norm is None or norm.centred:
            continue
        made = norm.end.output[0]
        if net.opset >= RMS_NORM_OPSET:
            node = fused_node(
                "RMSNormalization", [norm.source, norm.weight], [made], norm.end.name, "", axis=-1, epsilon=norm.epsilon
            )
            net.replace([node], "RMSNormalization")
        elif not as_skip_norm(net, "SkipSimplifiedLayerNormalization", norm, norm.end):
            _doubled(net, norm)


def _doubled(net: Net, norm: Norm) -> None:
    """Normalizes a value added to itself: a factor of two leaves the result as it is where epsilon gets four times as large.

    Doubling is exact in floating point. So a normalization that follows no addition has an operator before opset 23. It
    takes two or three axes; a value of more is made flat for it.
    """
    kind, result, name = "SkipSimplifiedLayerNormalization", norm.end.output[0], norm.end.name
    shape = net.shape(norm.source)
    if shape is not None and len(shape) in (2, 3):
        inputs = [norm.source, norm.source, norm.weight]
        net.replace([fused_node(kind, inputs, [result], name, epsilon=4 * norm.epsilon)], kind)
        return
    flat, made, sizes, two = (net.new_name(f"{result}_{each}") for each in ("flat", "made", "sizes", "two"))
    net.add_constant(onnx_vector(two, [-1, net.vector(norm.weight) or 0]))
    node = fused_node(kind, [flat, flat, norm.weight], [made], name, epsilon=4 * norm.epsilon)
    nodes = [
        fused_node("Reshape", [norm.source, two], [flat], flat, ""),
        node,
        fused_node("Shape", [norm.source], [sizes], sizes, ""),
        fused_node("Reshape", [made, sizes], [result], net.new_name(f"{result}_back"), ""),
    ]
    net.replace(nodes, kind, counted=node)


def _norm(net: Net, root: NodeProto) -> Norm | None:
    """Returns the normalization whose standard deviation, or root of the mean square, a node takes."""
    spread = _mean_square(net, root)
    scaled = None if spread is None else _divided(net, root, spread[0])
    if spread is None or scaled is None:
        return None
    value, epsilon = spread
    difference = net.maker(value, "Sub")
    centred = difference is not None and _is_mean(net, difference.input[1], difference.input[0])
    source = difference.input[0] if difference is not None and centred else value
    weighted = _with_vector(net, scaled.output[0], "Mul")
    if weighted is None:
        net.near["a normalization without a weight of the last axis's length, or of an unknown length"] += 1
        return None
    end, weight = weighted
    shifted = _with_vector(net, end.output[0], "Add") if centred else None
    if shifted is not None:
        return Norm(source, centred, epsilon, weight, shifted[1], shifted[0])
    return Norm(source, centred, epsilon, weight, "", end)


def _mean_square(net: Net, root: NodeProto) -> tuple[str, float] | None:
    """Returns of which value a root of the mean square is taken, and what is added before the root."""
    add = net.inner(root.input[0], "Add")
    parts = None if add is None else net.with_number(add)
    mean = None if parts is None else net.inner(parts[0], "ReduceMean")
    if parts is None or mean is None or not _over_last(net, mean):
        return None
    square = net.inner(mean.input[0], "Pow", "Mul")
    if square is None:
        return None
    twice = square.input[0] == square.input[1] if square.op_type == "Mul" else _is_two(net, square.input[1])
    return (square.input[0], parts[1]) if twice else None


def _is_two(net: Net, value: str) -> bool:
    return net.number(value) == 2 or net.known.contents.get(value) == (2,)


def _over_last(net: Net, mean: NodeProto) -> bool:
    shape = net.shape(mean.input[0])
    axes = axes_of(mean, net.known.contents)
    last = axes == (-1,) or (shape is not None and axes == (len(shape) - 1,))
    return last and whole(mean, "keepdims", 1) == 1


def _is_mean(net: Net, value: str, of: str) -> bool:
    mean = net.maker(value, "ReduceMean")
    return mean is not None and mean.input[0] == of and _over_last(net, mean)


def _divided(net: Net, root: NodeProto, value: str) -> NodeProto | None:
    """Returns the node that divides a value by a root, which nothing else takes."""
    user = net.taker(root.output[0], "Div", "Reciprocal")
    if user is None:
        return None
    if user.op_type == "Div" and user.input[1] == root.output[0] and _is(net, user.input[0], value):
        return user
    inverse = user.op_type == "Reciprocal" or (net.number(user.input[0]) == 1 and user.input[1] == root.output[0])
    product = net.taker(user.output[0], "Mul") if inverse else None
    if product is None:
        return None
    other = product.input[0] if product.input[1] == user.output[0] else product.input[1]
    return product if _is(net, other, value) else None


def _is(net: Net, value: str, other: str) -> bool:
    """Whether two values are one, or the same difference computed twice, as some exporters do."""
    makers = [net.maker(name, "Sub") for name in (value, other)]
    return value == other or (
        makers[0] is not None and makers[1] is not None and list(makers[0].input) == list(makers[1].input)
    )


def _with_vector(net: Net, value: str, kind: str) -> tuple[NodeProto, str] | None:
    """Returns the node that multiplies a value by, or adds to it, a constant vector of its last axis's length."""
    node = net.taker(value, kind)
    if node is None:
        return None
    other = node.input[0] if node.input[1] == value else node.input[1]
    length = net.vector(other)
    return (node, other) if length is not None and net.last(value) == length else None
