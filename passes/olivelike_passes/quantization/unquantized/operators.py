"""What each quantized operator computes, in floats. A handler answers whether it could take the node back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from olivelike_passes.quantization.unquantized.scope import Scope

if TYPE_CHECKING:
    from onnx import NodeProto

Handler: TypeAlias = "Callable[[Scope, NodeProto], bool]"
SAME_VALUES = frozenset({
    "DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "MaxPool", "Reshape", "Resize", "Slice", "SpaceToDepth",
    "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
})  # fmt: skip
"""Operators that only move values of their first input: on integers they do what they do on floats."""


def attribute(node: NodeProto, name: str, default: int) -> int:
    """Returns a whole number that a node has as an attribute."""
    return next((int(each.i) for each in node.attribute if each.name == name), default)


def part(node: NodeProto, place: int) -> str:
    """Returns an input; empty where it is left out."""
    return node.input[place] if place < len(node.input) else ""


def quantize(scope: Scope, node: NodeProto) -> bool:
    """`QuantizeLinear`: its float stands for its integers; the node stays for whoever still reads them."""
    scale, zero = part(node, 1), part(node, 2)
    if scope.constant(node.input[0]) is not None:
        if scope.array(scale) is None or (zero and scope.array(zero) is None):
            return False
        axis, block = attribute(node, "axis", 1), attribute(node, "block_size", 0)
        scope.floats[node.output[0]] = scope.rounded(node.input[0], scale, zero, axis, block)
        scope.nodes.append(node)
        return True
    scope.floats[node.output[0]] = scope.in_range(node.output[0], node.input[0], scale, zero)
    scope.nodes.append(node)
    return True


def dynamic(scope: Scope, node: NodeProto) -> bool:
    """`DynamicQuantizeLinear`, whose scale is remembered."""
    scope.floats[node.output[0]] = node.input[0]
    scope.scales[node.output[0]] = node.output[1]
    scope.nodes.append(node)
    return True


def dequantize(scope: Scope, node: NodeProto) -> bool:
    """`DequantizeLinear`: the float that its integers stand for already, or a weight."""
    import onnx

    name, scale, zero = node.input[0], node.input[1], part(node, 2)
    axis, block = attribute(node, "axis", 1), attribute(node, "block_size", 0)
    to = node.output[0]
    if attribute(node, "output_dtype", 0) not in (0, _kind(scope, scale)):
        return False
    if name in scope.floats:
        _stand_for(scope, scope.floats[name], to)
        return True
    if scope.constant(name) is not None and scope.constant(scale) is not None:
        made = scope.weight(name, scale, zero, axis, block, called=to)
        if made != to:
            _stand_for(scope, made, to)
        return True
    maker = scope.maker(name)
    steps = scope.array(scale)
    if maker is None or maker.op_type not in SAME_VALUES or steps is None or steps.size != 1:
        scope.nodes.append(node)  # an input of the model that is given in integers
        return True
    if scope.constant(maker.input[0]) is None or len(maker.output) != 1:
        return False
    copy = onnx.NodeProto()
    copy.CopyFrom(maker)
    copy.input[0] = scope.weight(maker.input[0], scale, zero, axis)
    copy.output[0] = to
    copy.name = node.name
    scope.nodes.append(copy)
    return True


def same_values(scope: Scope, node: NodeProto) -> bool:
    """An operator that moves integers: it moves the floats too; the node stays for whoever still reads integers."""
    import onnx

    if node.input[0] in scope.floats and scope.constant(node.input[0]) is None:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[0] = scope.floats[node.input[0]]
        for place, name in enumerate(node.output):
            if name:
                copy.output[place] = scope.model.fresh(f"{name}_float")
                scope.floats[name] = copy.output[place]
        copy.name = node.name and f"{node.name}_float"
        scope.nodes.append(copy)
    scope.nodes.append(node)
    return True


def qlinear_conv(scope: Scope, node: NodeProto) -> bool:
    """`QLinearConv` as `Conv`; its bias has the product of the other two scales for its own."""
    if attribute(node, "channels_last", 0) or not _bias_is_known(scope, part(node, 8), node):
        return False
    x, w = scope.read(*_three(node, 0)), scope.read(*_three(node, 3), axis=0)
    bias = _bias(scope, part(node, 8), node.input[1], node.input[4])
    return _made(scope, node, "Conv", [x, w, bias], node.input[6], node.input[7], without=("channels_last",))


def qlinear_matmul(scope: Scope, node: NodeProto) -> bool:
    """`QLinearMatMul` as `MatMul`."""
    inputs = [scope.read(*_three(node, 0), axis=-2), scope.read(*_three(node, 3), axis=-1)]
    return _made(scope, node, "MatMul", inputs, node.input[6], node.input[7])


def qgemm(scope: Scope, node: NodeProto) -> bool:
    """`QGemm` as `Gemm`, with or without a scale for what it gives."""
    if not _bias_is_known(scope, part(node, 6), node):
        return False
    a = scope.read(*_three(node, 0))
    b = scope.read(*_three(node, 3), axis=0 if attribute(node, "transB", 0) else 1)
    inputs = [a, b, _bias(scope, part(node, 6), node.input[1], node.input[4])]
    if not part(node, 7):
        scope.emit("Gemm", inputs, node.output, node)
        return True
    return _made(scope, node, "Gemm", inputs, node.input[7], node.input[8])


def binary(kind: str) -> Handler:
    """`QLinearAdd`, `QLinearMul` as the operator of two floats."""

    def handle(scope: Scope, node: NodeProto) -> bool:
        inputs = [scope.read(*_three(node, 0)), scope.read(*_three(node, 3))]
        return _made(scope, node, kind, inputs, node.input[6], part(node, 7))

    return handle


def unary(kind: str, *without: str) -> Handler:
    """An operator of one float, such as `QLinearSigmoid`."""

    def handle(scope: Scope, node: NodeProto) -> bool:
        if attribute(node, "channels_last", 0):
            return False
        x = scope.read(*_three(node, 0))
        return _made(scope, node, kind, [x], node.input[3], part(node, 4), without=("channels_last", *without))

    return handle


def softmax(scope: Scope, node: NodeProto) -> bool:
    """`QLinearSoftmax`, whose axis means what it did in the opset that it names."""
    if (attribute(node, "opset", 13) >= 13) != (scope.model.opset >= 13):
        return False
    return unary("Softmax", "opset")(scope, node)


def concat(scope: Scope, node: NodeProto) -> bool:
    """`QLinearConcat`, whose inputs come in threes."""
    inputs = [scope.read(*_three(node, place)) for place in range(2, len(node.input), 3)]
    return _made(scope, node, "Concat", inputs, node.input[0], node.input[1])


def where(scope: Scope, node: NodeProto) -> bool:
    """`QLinearWhere`."""
    inputs = [node.input[0], scope.read(*_three(node, 1)), scope.read(*_three(node, 4))]
    return _made(scope, node, "Where", inputs, node.input[7], part(node, 8))


def _made(
    scope: Scope,
    node: NodeProto,
    kind: str,
    inputs: Sequence[str],
    scale: str,
    zero: str,
    *,
    without: Sequence[str] = (),
) -> bool:
    made = scope.model.fresh(f"{node.output[0]}_float")
    scope.emit(kind, inputs, [made], node, without=without)
    scope.give(node.output[0], made, scale, zero, node)
    return True


def _bias_is_known(scope: Scope, name: str, node: NodeProto) -> bool:
    """Whether there is no bias, or it and the scales of both inputs are constants."""
    return not name or all(scope.constant(each) is not None for each in (name, node.input[1], node.input[4]))


def _bias(scope: Scope, name: str, scale: str, other: str) -> str:
    """Returns the float bias of an int32 one whose scale is the product of two others."""
    import numpy as np

    if not name:
        return ""
    held, steps = scope.constant(name), [scope.array(scale), scope.array(other)]
    assert held is not None and steps[0] is not None and steps[1] is not None, "looked at by `_bias_is_known`"
    step = np.asarray(steps[0], np.float32).reshape(-1) * np.asarray(steps[1], np.float32).reshape(-1)
    values = scope.array(name)
    assert values is not None
    floats = (values.astype(np.float32) * step).reshape(tuple(held.dims))
    return scope.add(f"{name}_float", floats.dtype, held.dims, lambda: [floats])


def _three(node: NodeProto, place: int) -> tuple[str, str, str]:
    """Returns a value's name with those of its scale and its zero point."""
    return node.input[place], node.input[place + 1], part(node, place + 2)


def _stand_for(scope: Scope, value: str, name: str) -> None:
    """Lets a value stand for one that is gone; an output of the graph is copied from it."""
    import onnx

    if name in scope.outputs:
        scope.nodes.append(onnx.helper.make_node("Identity", [value], [name]))
    else:
        scope.renamed[name] = value


def _kind(scope: Scope, name: str) -> int:
    tensor = scope.constant(name)
    return 1 if tensor is None else int(tensor.data_type)


STATIC: Mapping[str, Handler] = {
    "DequantizeLinear": dequantize,
    "DynamicQuantizeLinear": dynamic,
    "QGemm": qgemm,
    "QLinearAdd": binary("Add"),
    "QLinearAveragePool": unary("AveragePool"),
    "QLinearConcat": concat,
    "QLinearConv": qlinear_conv,
    "QLinearGlobalAveragePool": unary("GlobalAveragePool"),
    "QLinearLeakyRelu": unary("LeakyRelu"),
    "QLinearMatMul": qlinear_matmul,
    "QLinearMul": binary("Mul"),
    "QLinearSigmoid": unary("Sigmoid"),
    "QLinearSoftmax": softmax,
    "QLinearWhere": where,
    "QuantizeLinear": quantize,
}
