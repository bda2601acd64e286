"""How many operations a node takes, by its operator and the shapes of its tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from olivelike.evaluate.resources.stand_ins import RUNTIME, Shape, attribute, whole
from olivelike.evaluate.resources.tensor_shapes import Tensor

if TYPE_CHECKING:
    from onnx import NodeProto


@dataclass(frozen=True, slots=True)
class Work:
    """What a node takes.

    Attributes:
        macs: multiply-accumulates.
        others: any other arithmetic operations; a multiply-accumulate counts as two beside them.
        moves: whether it reads its inputs and writes its outputs; a `Reshape` only looks at them in another way.
    """

    macs: int = 0
    others: int = 0
    moves: bool = True


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows what a node takes, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Known:
    """A node with the tensors around it.

    Attributes:
        node: the node.
        inputs: by place; missing where it is left out.
        output: the first output.
    """

    node: NodeProto
    inputs: Mapping[int, Tensor]
    output: Tensor

    def shape(self, place: int) -> Shape:
        """Returns an input's shape, `()` where the input is left out."""
        return self.inputs[place].shape if place in self.inputs else ()


Rule: TypeAlias = Callable[[Known], Work]


def work(node: NodeProto, tensors: Mapping[str, Tensor]) -> Work | Unknown:
    """Returns what a node takes.

    Args:
        node: of a model whose functions are inlined.
        tensors: the tensors whose shape is known.
    """
    if node.domain not in DOMAINS or node.op_type not in RULES:
        return Unknown("no rule counts this operator")
    names = {place: name for place, name in enumerate(node.input) if name}
    missing = [name for name in (*names.values(), *node.output[:1]) if name not in tensors]
    if missing:
        return Unknown(f"the shape of {missing[0]!r} is not known")
    known = Known(node, {place: tensors[name] for place, name in names.items()}, tensors[node.output[0]])
    try:
        return RULES[node.op_type](known)
    except (IndexError, KeyError, ValueError):
        return Unknown(f"its inputs have shapes that no rule fits: {[t.shape for t in known.inputs.values()]}")


def _each(operations: int) -> Rule:
    """So many operations for each element of the output."""
    return lambda known: Work(others=operations * known.output.size)


def _each_input(operations: int) -> Rule:
    """So many operations for each element of the first input."""
    return lambda known: Work(others=operations * known.inputs[0].size)


def _free(*, moves: bool) -> Rule:
    return lambda known: Work(moves=moves)


def _matmul(
    bias: tuple[int, ...] = (), after: int = 0, depth: Callable[[Known], int] = lambda k: k.shape(0)[-1]
) -> Rule:
    """A matrix product: the depth of the sum for each element of the output, a bias, and what is done to each result."""

    def rule(known: Known) -> Work:
        added = sum(place in known.inputs for place in bias)
        return Work(macs=known.output.size * depth(known), others=known.output.size * (added + after))

    return rule


def _gemm_depth(known: Known) -> int:
    return known.shape(0)[0 if whole(known.node, "transA", 0) else 1]


def _fused_depth(known: Known) -> int:
    return known.shape(0)[-2 if whole(known.node, "transA", 0) else -1]


def _n_bits_depth(known: Known) -> int:
    return whole(known.node, "K", 0)


def _conv(weights: int, bias: int, after: int = 0) -> Rule:
    """Weights are `[out channels, in channels / group, *kernel]`: each element of the output sums over the last of them."""

    def rule(known: Known) -> Work:
        depth = math.prod(known.shape(weights)[1:])
        return Work(known.output.size * depth, known.output.size * (int(bias in known.inputs) + after))

    return rule


def _conv_transpose(known: Known) -> Work:
    """Weights are `[in channels, out channels / group, *kernel]`: each element of the input is spread over the last of them."""
    depth = math.prod(known.shape(1)[1:])
    return Work(known.inputs[0].size * depth, known.output.size * int(2 in known.inputs))


def _pool(known: Known) -> Work:
    kernel = attribute(known.node, "kernel_shape")
    if not isinstance(kernel, list):
        raise ValueError("no kernel")
    return Work(others=known.output.size * math.prod(kernel))


def _resize(known: Known) -> Work:
    """Each output element weighs 2 neighbours along each resized axis for `linear`, 4 for `cubic`, none for `nearest`."""
    taps = {"nearest": 0, "linear": 2, "cubic": 4}[str(attribute(known.node, "mode", "nearest"))]
    axes = sum(a != b for a, b in zip(known.shape(0), known.output.shape, strict=True))
    return Work(macs=known.output.size * taps**axes if taps else 0)


def _einsum(known: Known) -> Work:
    """Two operands: every combination of all their indices is one multiply-accumulate."""
    left = str(attribute(known.node, "equation", "")).replace(" ", "").partition("->")[0].split(",")
    if "." in "".join(left) or len(left) > 2:
        raise ValueError("an equation that no rule fits")
    sizes = {
        letter: size
        for place, letters in enumerate(left)
        for letter, size in zip(letters, known.shape(place), strict=True)
    }
    count = math.prod(sizes.values())
    return Work(macs=count) if len(left) == 2 else Work(others=count)


def _recurrent(gates: int, activations: int) -> Rule:
    """`X` [sequence, batch, input], `W` [directions, gates * hidden, input], `R` [directions, gates * hidden, hidden]."""

    def rule(known: Known) -> Work:
        directions, rows, width = known.shape(1)
        hidden = known.shape(2)[2]
        steps = known.inputs[0].size // width * directions
        if rows != gates * hidden:
            raise ValueError("weights of another shape")
        return Work(steps * rows * (width + hidden), steps * (hidden * activations + rows * int(3 in known.inputs)))

    return rule


def _attended(batch: int, heads: int, queries: int, keys: int, widths: int) -> Work:
    """Scores, softmax (5 for each score) and weighted values of `heads` heads; `widths`: a key's and a value's together."""
    scores = batch * heads * queries * keys
    return Work(macs=scores * widths, others=5 * scores)


def _attention(known: Known) -> Work:
    """ONNX `Attention` (opset 23): query, key, value, mask, past key, past value; with or without an axis for heads."""
    query, key, value = known.shape(0), known.shape(1), known.shape(2)
    past = known.shape(4)[2] if 4 in known.inputs else 0
    if len(query) == 4:
        return _attended(query[0], query[1], query[2], key[2] + past, query[3] + value[3])
    heads, of_values = whole(known.node, "q_num_heads", 0), whole(known.node, "kv_num_heads", 0)
    return _attended(query[0], heads, query[1], key[1] + past, query[2] // heads + value[2] // of_values)


def _projected_attention(past_at: int) -> Rule:
    """The runtime's `Attention`: input [batch, length, width] times weights [width, q + k + v], then attention."""

    def rule(known: Known) -> Work:
        (batch, length, width), packed = known.shape(0), known.shape(1)[1]
        heads = whole(known.node, "num_heads", 0)
        past = known.shape(past_at)[3] if past_at in known.inputs else 0
        values = known.output.shape[2]
        inner = _attended(batch, heads, length, length + past, (packed - values) // 2 // heads + values // heads)
        return Work(batch * length * width * packed + inner.macs, batch * length * packed + inner.others)

    return rule


def _multi_head(known: Known) -> Work:
    """The runtime's `MultiHeadAttention` and `GroupQueryAttention` on query, key and value that are not packed."""
    (batch, length, width), heads = known.shape(0), whole(known.node, "num_heads", 0)
    past_at = 6 if known.node.op_type == "MultiHeadAttention" else 3
    past = known.shape(past_at)[2] if past_at in known.inputs else 0
    keys = known.shape(1)
    depth = width // heads
    return _attended(batch, heads, length, keys[1 if len(keys) == 3 else 2] + past, 2 * depth)


def _either_attention(known: Known) -> Work:
    """`Attention` means one thing in ONNX and another in the runtime's own domain."""
    return _projected_attention(past_at=4)(known) if known.node.domain == RUNTIME else _attention(known)


DOMAINS = frozenset({"", "ai.onnx", RUNTIME})

ELEMENTWISE = (
    "Abs", "Acos", "Acosh", "Add", "And", "Asin", "Asinh", "Atan", "Atanh", "BitShift", "BitwiseAnd", "BitwiseNot",
    "BitwiseOr", "BitwiseXor", "Ceil", "Celu", "Clip", "Cos", "Cosh", "Div", "Elu", "Equal", "Erf", "Exp", "Floor",
    "Greater", "GreaterOrEqual", "HardSigmoid", "IsInf", "IsNaN", "LeakyRelu", "Less", "LessOrEqual", "Log", "Max",
    "Min", "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid",
    "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Sub", "Tan", "Tanh", "ThresholdedRelu", "Where", "Xor",
    "QLinearSigmoid", "QLinearLeakyRelu",
)  # fmt: skip
"""One operation for each element, whatever it is: an exponential counts like an addition."""

REDUCTIONS = (
    "ReduceMax", "ReduceMin", "ReduceSum", "ReduceMean", "ReduceProd", "ReduceL1", "ArgMax", "ArgMin",
    "GlobalAveragePool", "GlobalMaxPool", "CumSum", "TopK", "QLinearGlobalAveragePool",
)  # fmt: skip
"""One operation for each element that goes in."""

VIEWS = (
    "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Shape", "Size", "Constant",
    "ConstantOfShape",
)  # fmt: skip
"""They look at the same values in another way, or need no run at all."""

MOVES = (
    "Cast", "CastLike", "Concat", "DepthToSpace", "Expand", "EyeLike", "Gather", "GatherElements", "GatherND",
    "OneHot", "Pad", "Range", "ReverseSequence", "ScatterElements", "ScatterND", "Slice", "SpaceToDepth", "Split",
    "Tile", "Transpose", "Trilu", "QLinearConcat",
)  # fmt: skip
"""They move values and compute nothing."""

RULES: Mapping[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE, _each(1)),
    **dict.fromkeys(REDUCTIONS, _each_input(1)),
    **dict.fromkeys(VIEWS, _free(moves=False)),
    **dict.fromkeys(MOVES, _free(moves=True)),
    **dict.fromkeys(("Sum", "Mean"), lambda known: Work(others=known.output.size * len(known.inputs))),
    **dict.fromkeys(("ReduceL2", "ReduceSumSquare", "ReduceLogSum"), _each_input(2)),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear", "QLinearAdd", "QLinearMul", "BatchNormalization"), _each(2)),
    **dict.fromkeys(("DynamicQuantizeLinear", "RotaryEmbedding", "QuickGelu", "HardSwish", "Swish"), _each(3)),
    **dict.fromkeys(("RMSNormalization", "SimplifiedLayerNormalization"), _each(4)),
    **dict.fromkeys(("Softmax", "LogSoftmax", "QLinearSoftmax", "Gelu", "SkipSimplifiedLayerNormalization"), _each(5)),
    "BiasGelu": _each(6),
    **dict.fromkeys(("LayerNormalization", "InstanceNormalization", "GroupNormalization"), _each(7)),
    "SkipLayerNormalization": _each(8),
    **dict.fromkeys(("FastGelu", "EmbedLayerNormalization"), _each(9)),
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool", "QLinearAveragePool"), _pool),
    "Resize": _resize,
    "Einsum": _einsum,
    **dict.fromkeys(("MatMul", "MatMulInteger"), _matmul()),
    "QLinearMatMul": _matmul(after=2),
    "Gemm": _matmul(bias=(2,), depth=_gemm_depth),
    "FusedGemm": _matmul(bias=(2,), after=1, depth=_gemm_depth),
    "QGemm": _matmul(bias=(6,), after=2, depth=_gemm_depth),
    "FusedMatMul": _matmul(depth=_fused_depth),
    "MatMulNBits": _matmul(bias=(5,), depth=_n_bits_depth),
    "DynamicQuantizeMatMul": _matmul(bias=(4,), after=1),
    "MatMulIntegerToFloat": _matmul(bias=(6,), after=1),
    **dict.fromkeys(("Conv", "ConvInteger"), _conv(weights=1, bias=2)),
    "FusedConv": _conv(weights=1, bias=2, after=1),
    "QLinearConv": _conv(weights=3, bias=8, after=2),
    "ConvTranspose": _conv_transpose,
    "LSTM": _recurrent(4, 9),
    "GRU": _recurrent(3, 8),
    "RNN": _recurrent(1, 1),
    **dict.fromkeys(("MultiHeadAttention", "GroupQueryAttention"), _multi_head),
    "Attention": _either_attention,
    "QAttention": _projected_attention(past_at=8),
}
"""By operator. Norms and activations count what they are when written out in single operators (`Gelu`: 5), so that fusing
changes no count."""
