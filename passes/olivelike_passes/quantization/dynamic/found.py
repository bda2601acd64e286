"""Which nodes dynamic quantization takes, with their weights, and which it leaves in float32 and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike.onnxfile.wiring import graphs_inside
from olivelike_passes.matrices import Matrix, matrices
from olivelike_passes.quantization.chosen import Chosen
from olivelike_passes.quantization.quantizable import WEIGHT_INPUTS, is_foreign
from olivelike_passes.weights import replaceable_weights

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

SLOW = (
    "integer convolutions with activations quantized as the model runs were 3 to 11 times slower than float32 on every model "
    "measured: use `static_quant` for convolutions, or say `allow_conv: true`"
)
LONGEST = (2**31 - 1) // (255 * 128)
"""Products of 8 bits that a sum of 32 bits surely holds."""
RECURRENT = ("GRU", "RNN")
NO_KERNEL = "the runtime has integer kernels for `LSTM` alone among the recurrent operators"


@dataclass(frozen=True, slots=True)
class Found:
    """A node to quantize.

    Attributes:
        node: the node.
        graph: the graph it stands in.
        weights: its constants by place among its inputs.
        matrix: for `MatMul`, `Gemm` and `Gather`, its weight as a matrix.
    """

    node: NodeProto
    graph: GraphProto
    weights: dict[int, TensorProto]
    matrix: Matrix | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """A node that was chosen and stays in float32, and why."""

    node: NodeProto
    reason: str


def found_in(model: ModelProto, chosen: Chosen, *, allow_conv: bool) -> tuple[list[Found], list[Left]]:
    """Returns the nodes to quantize, in the model's order, and those that stay.

    Args:
        model: a structure whose constants are initializers.
        chosen: what the user asked for.
        allow_conv: whether convolutions are taken.
    """
    found: list[Found] = []
    left: list[Left] = []
    known = {id(matrix.node): matrix for matrix in matrices(model)}
    for graph, held in _scopes(model.graph, {}, replaceable_weights(model)):
        for node in graph.node:
            if node.op_type in RECURRENT and node.domain in ("", "ai.onnx"):
                left.append(Left(node, NO_KERNEL))
            if not chosen.has(node) or is_foreign(node):
                continue
            constants = {place: held[name] for place, name in enumerate(node.input) if name in held}
            matrix = known.get(id(node))
            if not _is_fit(node, constants, matrix, chosen):
                continue
            reason = _why_not(node, constants, matrix, allow_conv=allow_conv)
            if reason:
                left.append(Left(node, reason))
            else:
                found.append(Found(node, graph, constants, matrix))
    return found, left


def _scopes(
    graph: GraphProto, around: dict[str, TensorProto], replaceable: frozenset[str]
) -> Iterator[tuple[GraphProto, dict[str, TensorProto]]]:
    own = {output for node in graph.node for output in node.output} | {entry.name for entry in graph.input}
    held = {name: tensor for name, tensor in around.items() if name not in own}
    held |= {tensor.name: tensor for tensor in graph.initializer if tensor.name not in replaceable}
    yield graph, held
    for node in graph.node:
        for inner in graphs_inside(node):
            yield from _scopes(inner, held, frozenset())


def _is_fit(node: NodeProto, constants: dict[int, TensorProto], matrix: Matrix | None, chosen: Chosen) -> bool:
    """Whether a node has the constant float32 weights that its type asks for."""
    if node.op_type in ("MatMul", "Gemm", "Gather"):
        if matrix is None or matrix.tensor.data_type != matrix.tensor.FLOAT or 0 in matrix.tensor.dims:
            return False
        behind = matrix.behind is None or "Transpose" in chosen.op_types
        return behind and (matrix.kind == "Gather" or 0 not in constants)
    places = WEIGHT_INPUTS.get(node.op_type, ())
    return bool(places) and all(
        place in constants and constants[place].data_type == 1 and all(constants[place].dims)
        for place in places
        if place < len(node.input) and node.input[place]
    )


def _why_not(node: NodeProto, constants: dict[int, TensorProto], matrix: Matrix | None, *, allow_conv: bool) -> str:
    match node.op_type:
        case "MatMul" | "Gemm" if matrix is not None and matrix.inputs > LONGEST:
            return f"a sum of {matrix.inputs} products may overflow 32 bits"
        case "Gemm":
            return "" if _attribute(node, "beta", 1.0) == 1.0 or not _given(node, 2) else "its bias is scaled (beta)"
        case "Conv":
            return _against_conv(node, constants, allow_conv=allow_conv)
        case "LSTM":
            return "the runtime's integer LSTM takes no `layout`" if _attribute(node, "layout", 0) else ""
        case "Attention":
            odd = any(_given(node, place) for place in range(5, len(node.input)))
            odd = odd or any(a.name == "qkv_hidden_sizes" for a in node.attribute) or not _given(node, 2)
            return "the runtime's integer attention takes no such inputs" if odd else ""
        case "EmbedLayerNormalization":
            if any(_given(node, place) and not _is_float32(constants.get(place)) for place in (5, 6)):
                return "the runtime's integer embedding takes constants alone for gamma and beta"
            odd = _given(node, 8) or bool(_attribute(node, "mask_index_type", 0)) or len(node.output) > 2
            return "the runtime's integer embedding takes no such inputs" if odd else ""
    return ""


def _against_conv(node: NodeProto, constants: dict[int, TensorProto], *, allow_conv: bool) -> str:
    if not allow_conv:
        return SLOW
    if _given(node, 2) and 2 not in constants:
        return "its bias is no constant"
    weight = constants[1]
    products = 1
    for dim in weight.dims[1:]:
        products *= dim
    return f"a sum of {products} products may overflow 32 bits" if products > LONGEST else ""


def _is_float32(tensor: TensorProto | None) -> bool:
    return tensor is not None and bool(tensor.data_type == tensor.FLOAT)


def _given(node: NodeProto, place: int) -> bool:
    return place < len(node.input) and bool(node.input[place])


def _attribute(node: NodeProto, name: str, default: float) -> float:
    import onnx

    return next((float(onnx.helper.get_attribute_value(a)) for a in node.attribute if a.name == name), default)
