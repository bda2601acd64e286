"""Products with integer weights whose inputs are quantized as the model runs, or not at all, as products of floats."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from olivelike_passes.quantization.unquantized.operators import Handler, attribute, part
from olivelike_passes.quantization.unquantized.scope import Scope
from olivelike_passes.quantization.unquantized.values import dequantized, of_nbits, unpacked, whole_values

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray
    from onnx import NodeProto, TensorProto

    Raw = NDArray[Any]

MICROSOFT = "com.microsoft"
ORDER = 4
"""The input `g_idx` of `MatMulNBits` (ONNX Runtime, ContribOperators.md)."""


def integer_product(kind: str, axis: int) -> Handler:
    """`MatMulInteger` or `ConvInteger` with the `Cast` and the `Mul` by the scales behind it."""

    def handle(scope: Scope, node: NodeProto) -> bool:
        cast = scope.only_taker(node.output[0], "Cast")
        mul = cast and scope.only_taker(cast[1].output[0], "Mul")
        if not cast or not mul:
            return False
        other = next((name for name in mul[1].input if name != cast[1].output[0]), "")
        scale = _scale_of_weight(scope, other, node)
        if not scale:
            return False
        if scope.constant(scale) is None:  # both were activations
            weight = scope.floats.get(node.input[1], "")
        else:
            weight = scope.read(node.input[1], scale, part(node, 3), axis=axis)
        if not weight:
            return False
        scope.emit(kind, [scope.floats[node.input[0]], weight], mul[1].output, node)
        scope.skipped |= {cast[0], mul[0]}
        return True

    return handle


def _scale_of_weight(scope: Scope, scale: str, node: NodeProto) -> str:
    """Returns the weight's part of the product of two scales; empty where it is not such a product."""
    product = scope.maker(scale)
    own = scope.scales.get(node.input[0], "")
    if product is None or product.op_type != "Mul" or own not in product.input or node.input[0] not in scope.floats:
        return ""
    left = list(product.input)
    left.remove(own)
    is_constant = scope.constant(left[0]) is not None and scope.constant(node.input[1]) is not None
    return left[0] if is_constant or left[0] == scope.scales.get(node.input[1], "?") else ""


def dynamic_matmul(scope: Scope, node: NodeProto) -> bool:
    """`DynamicQuantizeMatMul` as `MatMul`."""
    return _matmul(scope, node, node.input[0], part(node, 2), part(node, 3), part(node, 4))


def matmul_to_float(scope: Scope, node: NodeProto) -> bool:
    """`MatMulIntegerToFloat` as `MatMul`."""
    left = scope.floats.get(node.input[0], "")
    return bool(left) and _matmul(scope, node, left, part(node, 3), part(node, 5), part(node, 6))


def _matmul(scope: Scope, node: NodeProto, left: str, scale: str, zero: str, bias: str) -> bool:
    if scope.constant(node.input[1]) is None or scope.constant(scale) is None:
        return False
    _product(scope, node, left, scope.weight(node.input[1], scale, zero, -1), bias)
    return True


def _product(scope: Scope, node: NodeProto, left: str, right: str, bias: str) -> None:
    """Adds `MatMul` and, where there is a bias, `Add`."""
    made = scope.model.fresh(f"{node.output[0]}_product") if bias else node.output[0]
    scope.emit("MatMul", [left, right], [made], node, attributes={})
    if bias:
        scope.emit("Add", [made, bias], node.output, node, attributes={})
        scope.nodes[-1].name = node.name and f"{node.name}_bias"


def matmul_nbits(scope: Scope, node: NodeProto) -> bool:
    """`MatMulNBits` as `MatMul` by a weight [K, N], and `Add` where it has a bias."""
    import numpy as np

    bits, inputs, size = (
        attribute(node, name, default) for name, default in (("bits", 4), ("K", 0), ("block_size", 0))
    )
    held, scales = scope.constant(node.input[1]), scope.array(part(node, 2))
    order = scope.array(part(node, ORDER))
    in_order = order is None or bool(np.array_equal(order.reshape(-1)[:inputs], np.arange(inputs) // size))
    packed = not attribute(node, "weight_prepacked", 0)
    if held is None or scales is None or bits not in (2, 4, 8) or not in_order or not packed:
        return False
    outputs = attribute(node, "N", 0)
    make = partial(_nbits, scope, held, node, inputs, bits)
    weight = scope.add(f"{node.input[1]}_float", scales.dtype, [inputs, outputs], make)
    _product(scope, node, node.input[0], weight, part(node, 5))
    return True


def _nbits(scope: Scope, held: TensorProto, node: NodeProto, inputs: int, bits: int) -> list[Raw]:
    import numpy as np

    scales, zeros = scope.array(node.input[2]), scope.array(part(node, 3))
    assert scales is not None
    data = whole_values(held, scope.model.path)
    size = attribute(node, "block_size", 32)
    data = np.asarray(data).reshape(attribute(node, "N", 0), -1, size * bits // 8)
    return [of_nbits(data, scales, zeros, inputs, bits)]


def gather_blocks(scope: Scope, node: NodeProto) -> bool:
    """`GatherBlockQuantized` as `Gather` of floats."""
    import onnx

    held, scales = scope.constant(node.input[0]), scope.array(part(node, 2))
    if held is None or scales is None or len(held.dims) < 1:
        return False
    zeros, bits = scope.array(part(node, 3)), attribute(node, "bits", 4)
    dims = list(held.dims)
    is_bytes = held.data_type == onnx.TensorProto.UINT8
    if is_bytes and bits < 8:
        dims[-1] *= 8 // bits
    axis = attribute(node, "quantize_axis", 1) % len(dims)
    size = attribute(node, "block_size", 128) or dims[axis]
    make = partial(_blocks, held, scope, scales, zeros, dims, axis, size, bits if is_bytes else 0)
    weight = scope.add(f"{node.input[0]}_float", scales.dtype, dims, make)
    scope.emit(
        "Gather", [weight, node.input[1]], node.output, node, attributes={"axis": attribute(node, "gather_axis", 0)}
    )
    return True


def _blocks(
    held: TensorProto, scope: Scope, scales: Raw, zeros: Raw | None, dims: list[int], axis: int, size: int, bits: int
) -> list[Raw]:
    import numpy as np

    data = whole_values(held, scope.model.path)
    if not bits:
        return [dequantized(lambda rows: data[rows], dims, scales, zeros, axis, size, scales.dtype)]
    middle = np.full(scales.shape, 2 ** (bits - 1), np.uint8)
    points = middle if zeros is None else unpacked(zeros, bits)[..., : scales.shape[-1]]
    return [dequantized(lambda rows: unpacked(data[rows], bits), dims, scales, points, axis, size, scales.dtype)]


def attention(scope: Scope, node: NodeProto) -> bool:
    """`QAttention` as the runtime's `Attention`."""
    left = scope.floats.get(node.input[0], "")
    if not left or scope.constant(node.input[1]) is None or scope.constant(part(node, 4)) is None:
        return False
    weight = scope.weight(node.input[1], node.input[4], part(node, 7), 1)
    inputs = [left, weight, node.input[2], part(node, 5), part(node, 8)]
    scope.emit("Attention", inputs, node.output, node, domain=MICROSOFT)
    return True


def lstm(scope: Scope, node: NodeProto) -> bool:
    """`DynamicQuantizeLSTM` as `LSTM`, whose weights lie the other way round."""
    weights = []
    for place, scale in ((1, 8), (2, 10)):
        held, steps = scope.constant(node.input[place]), scope.array(part(node, scale))
        if held is None or steps is None:
            return False
        values, zeros = whole_values(held, scope.model.path), scope.array(part(node, scale + 1))
        make = partial(_turned, values, steps, zeros)
        shape = [held.dims[0], held.dims[2], held.dims[1]]
        weights.append(scope.add(f"{node.input[place]}_float", steps.dtype, shape, make))
    scope.emit("LSTM", [node.input[0], *weights, *(part(node, place) for place in range(3, 8))], node.output, node)
    return True


def _turned(values: Raw, steps: Raw, zeros: Raw | None) -> list[Raw]:
    """Returns weights [directions, outputs, inputs] of integers [directions, inputs, outputs], scaled by direction or output."""
    import numpy as np

    spread = (len(values), 1, -1)
    points = 0 if zeros is None else zeros.reshape(spread).astype(np.int32)
    floats = (values.astype(np.int32) - points).astype(np.float32) * steps.reshape(spread).astype(np.float32)
    return [np.ascontiguousarray(floats.transpose(0, 2, 1))]


PRODUCTS: Mapping[str, Handler] = {
    "ConvInteger": integer_product("Conv", 0),
    "DynamicQuantizeLSTM": lstm,
    "DynamicQuantizeMatMul": dynamic_matmul,
    "GatherBlockQuantized": gather_blocks,
    "MatMulInteger": integer_product("MatMul", -1),
    "MatMulIntegerToFloat": matmul_to_float,
    "MatMulNBits": matmul_nbits,
    "QAttention": attention,
}
