"""What shapes the values of a graph have, in names where numbers are not known; what the small vectors of sizes hold.

ONNX's own inference names sizes too, but gives up where exporters compute a shape from other shapes, which is what the
heads of an attention are split by. What is not known here is no value's shape: patterns then do not match.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from olivelike_passes.graph.fusion.dims import Dim, Shape, broadcast, minus, plus, quotient, times
from olivelike_passes.graph.fusion.nodes import axes_of, is_standard, whole, wholes, word

if TYPE_CHECKING:
    from onnx import NodeProto

ALIKE = frozenset({
    "Abs", "BatchNormalization", "BiasGelu", "Cast", "Celu", "Clip", "Cos", "CumSum", "Dropout", "Elu", "Erf",
    "Exp", "FastGelu", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "IsInf", "IsNaN",
    "LayerNormalization", "LeakyRelu", "Log", "LogSoftmax", "Mish", "Neg", "Not", "QuickGelu", "RMSNormalization",
    "Reciprocal", "Relu", "RotaryEmbedding", "Round", "Selu", "Sigmoid", "Sin", "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization", "Softmax", "Softplus", "Softsign", "Sqrt", "Tanh", "Trilu",
})  # fmt: skip
"""Operators whose first output has the shape of the first input."""
PAIRS = frozenset({
    "Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min", "Mod", "Mul",
    "Or", "Pow", "Sub", "Sum", "Where", "Xor",
})  # fmt: skip
"""Operators that broadcast all their inputs against each other."""
LARGE = 2**31 - 1
WHOLE = (6, 7)
"""int32 and int64 (onnx.proto, `TensorProto.DataType`)."""
BOOL = 9
LONGEST = 16
"""Vectors of up to so many numbers are followed: shapes and parts of shapes."""


class Shapes:
    """The shapes of a graph's values, and the contents of its small integer vectors.

    Attributes:
        shapes: by the name of a value; absent where not even the rank is known.
        contents: by the name of a value of rank 0 or 1: its elements.
    """

    def __init__(self, shapes: Mapping[str, Shape], contents: Mapping[str, Shape]) -> None:
        self.shapes: dict[str, Shape] = dict(shapes)
        self.contents: dict[str, Shape] = dict(contents)

    def follow(self, node: NodeProto) -> None:
        """Takes in what a node makes; the nodes that it reads from have been taken in."""
        if node.op_type == "Split" and is_standard(node):
            self._split(node)
        if not node.output or not node.output[0]:
            return
        shape = self._shape(node)
        if shape is None:
            return
        self.shapes[node.output[0]] = shape
        content = self._content(node)
        if content is not None and len(shape) <= 1:
            self.contents[node.output[0]] = content

    def _shape(self, node: NodeProto) -> Shape | None:
        known = self.shapes
        kind = node.op_type
        if node.domain not in ("", "ai.onnx", "com.microsoft"):
            return None
        if kind in ALIKE:
            return known.get(node.input[0])
        if kind in PAIRS:
            return self._paired(node)
        rule = RULES.get(kind)
        return None if rule is None else rule(self, node)

    def _paired(self, node: NodeProto) -> Shape | None:
        found: Shape = ()
        for name in node.input:
            shape = self.shapes.get(name)
            if shape is None:
                return None
            found = broadcast(found, shape)
        return found

    def _content(self, node: NodeProto) -> Shape | None:
        rule = CONTENTS.get(node.op_type) if is_standard(node) else None
        found = None if rule is None else rule(self, node)
        return found if found is not None and len(found) <= LONGEST else None

    def _split(self, node: NodeProto) -> None:
        shape = self.shapes.get(node.input[0])
        axis = whole(node, "axis", 0)
        if shape is None or not -len(shape) <= axis < len(shape):
            return
        axis %= len(shape)
        for name, size in zip(node.output, self._parts(node, shape[axis]), strict=False):
            self.shapes[name] = (*shape[:axis], size, *shape[axis + 1 :])

    def _parts(self, node: NodeProto, size: Dim) -> Shape:
        if len(node.input) > 1 and node.input[1]:
            return self.contents.get(node.input[1], ())
        given = wholes(node, "split")
        count = len(node.output)
        return given or ((size // count,) * count if isinstance(size, int) and size % count == 0 else ())


def _shape_of(known: Shapes, node: NodeProto) -> Shape | None:
    content = _dims_of(known, node)
    return None if content is None else (len(content),)


def _dims_of(known: Shapes, node: NodeProto) -> Shape | None:
    shape = known.shapes.get(node.input[0])
    return None if shape is None else shape[whole(node, "start", 0) : whole(node, "end", len(shape))]


def _matmul(known: Shapes, node: NodeProto) -> Shape | None:
    left, right = (known.shapes.get(name) for name in node.input)
    if left is None or right is None or len(left) < 2 or len(right) < 2:
        return None
    return (*broadcast(left[:-2], right[:-2]), left[-2], right[-1])


def _gemm(known: Shapes, node: NodeProto) -> Shape | None:
    left, right = (known.shapes.get(name) for name in node.input[:2])
    if left is None or right is None or len(left) != 2 or len(right) != 2:
        return None
    return (left[whole(node, "transA", 0)], right[1 - whole(node, "transB", 0)])


def _transpose(known: Shapes, node: NodeProto) -> Shape | None:
    shape = known.shapes.get(node.input[0])
    if shape is None:
        return None
    perm = wholes(node, "perm", range(len(shape))[::-1])
    return tuple(shape[place] for place in perm)


def _reshape(known: Shapes, node: NodeProto) -> Shape | None:
    shape, wanted = known.shapes.get(node.input[0]), known.contents.get(node.input[1])
    if wanted is None or any(isinstance(size, tuple) and size[0] == "-" for size in wanted):
        return None  # a difference may be negative, which has a meaning of its own here
    if not whole(node, "allowzero", 0) and 0 in wanted:
        if shape is None or len(shape) < max(place for place, size in enumerate(wanted) if size == 0) + 1:
            return None
        wanted = tuple(shape[place] if size == 0 else size for place, size in enumerate(wanted))
    if -1 not in wanted:
        return wanted
    if shape is None or wanted.count(-1) > 1:
        return None
    inferred = quotient(shape, [size for size in wanted if size != -1])
    return tuple(inferred if size == -1 else size for size in wanted)


def _unsqueeze(known: Shapes, node: NodeProto) -> Shape | None:
    shape, axes = known.shapes.get(node.input[0]), axes_of(node, known.contents)
    if shape is None or not axes:
        return None
    rank = len(shape) + len(axes)
    places = {axis % rank for axis in axes}
    rest = iter(shape)
    return tuple(1 if place in places else next(rest) for place in range(rank))


def _squeeze(known: Shapes, node: NodeProto) -> Shape | None:
    shape, axes = known.shapes.get(node.input[0]), axes_of(node, known.contents)
    if shape is None:
        return None
    if len(node.input) < 2 and not axes:
        return tuple(size for size in shape if size != 1) if all(isinstance(size, int) for size in shape) else None
    places = {axis % len(shape) for axis in axes}
    return tuple(size for place, size in enumerate(shape) if place not in places) if axes else None


def _concat(known: Shapes, node: NodeProto) -> Shape | None:
    shapes = [known.shapes.get(name) for name in node.input]
    first = shapes[0]
    if first is None:
        return None
    axis = whole(node, "axis", 0) % len(first)
    length: Dim = 0
    for shape in shapes:
        if shape is None or len(shape) != len(first):
            return None
        length = plus(length, shape[axis])
    return (*first[:axis], length, *first[axis + 1 :])


def _slice(known: Shapes, node: NodeProto) -> Shape | None:
    shape = known.shapes.get(node.input[0])
    parts = [known.contents.get(name) for name in node.input[1:]]
    given = [part for part in parts if part is not None]
    if shape is None or len(given) < max(2, len(parts)):
        return None
    starts, ends = given[0], given[1]
    axes = given[2] if len(given) > 2 else tuple(range(len(starts)))
    steps = given[3] if len(given) > 3 else (1,) * len(starts)
    found = list(shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if not isinstance(axis, int) or step != 1:
            return None
        found[axis] = _sliced(found[axis], start, end)
    return tuple(found)


def _sliced(size: Dim, start: Dim, end: Dim) -> Dim:
    if isinstance(size, int) and isinstance(start, int) and isinstance(end, int):
        return len(range(size)[start:end])
    if isinstance(end, int) and end >= LARGE:
        end = size
    if isinstance(end, int) and end < 0:
        return ("cut", size, ("..", start, end))
    if start != 0:
        return ("cut", size, ("..", start, end)) if end != size or _negative(start) else minus(size, start)
    return size if end == size else ("min", end, size)


def _negative(size: Dim) -> bool:
    return isinstance(size, int) and size < 0


def _gather(known: Shapes, node: NodeProto) -> Shape | None:
    shape, index = (known.shapes.get(name) for name in node.input)
    if shape is None or index is None:
        return None
    axis = whole(node, "axis", 0) % len(shape)
    return (*shape[:axis], *index, *shape[axis + 1 :])


def _gather_nd(known: Shapes, node: NodeProto) -> Shape | None:
    shape, index = (known.shapes.get(name) for name in node.input)
    if shape is None or not index or not isinstance(index[-1], int) or whole(node, "batch_dims", 0):
        return None
    return (*index[:-1], *shape[index[-1] :])


def _expand(known: Shapes, node: NodeProto) -> Shape | None:
    shape, wanted = known.shapes.get(node.input[0]), known.contents.get(node.input[1])
    return None if shape is None or wanted is None else broadcast(shape, wanted)


def _reduce(known: Shapes, node: NodeProto) -> Shape | None:
    shape, axes = known.shapes.get(node.input[0]), axes_of(node, known.contents)
    if shape is None or not axes:
        return None
    places = {axis % len(shape) for axis in axes}
    kept = whole(node, "keepdims", 1)
    return tuple(1 if place in places else size for place, size in enumerate(shape) if kept or place not in places)


def _range(known: Shapes, node: NodeProto) -> Shape | None:
    start, limit, step = (known.contents.get(name) for name in node.input)
    if start is None or limit is None or step != (1,):
        return None
    return (minus(limit[0], start[0]),)


def _flatten(known: Shapes, node: NodeProto) -> Shape | None:
    shape = known.shapes.get(node.input[0])
    if shape is None:
        return None
    axis = whole(node, "axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    return (quotient(shape[:axis], ()), quotient(shape[axis:], ()))


def _attention(known: Shapes, node: NodeProto) -> Shape | None:
    query, value = known.shapes.get(node.input[0]), known.shapes.get(node.input[2])
    if query is None or value is None or len(query) != len(value):
        return None
    if len(query) == 4:
        return (*query[:3], value[3])
    heads, shared = whole(node, "q_num_heads", 0), whole(node, "kv_num_heads", 0)
    return (*query[:2], quotient((value[2], heads), (shared,))) if heads and shared else None


def _conv(known: Shapes, node: NodeProto) -> Shape | None:
    """Returns the shape after a convolution whose images have sizes that are numbers, padded as the node says."""
    shape, weight = (known.shapes.get(name) for name in node.input[:2])
    images = [] if shape is None else [size for size in shape[2:] if isinstance(size, int)]
    kernel = [] if weight is None else [size for size in weight[2:] if isinstance(size, int)]
    count = len(images)
    if shape is None or weight is None or count != len(shape) - 2 or count != len(kernel) or not count:
        return None
    if word(node, "auto_pad", "NOTSET") != "NOTSET":
        return None
    strides, dilations = (wholes(node, name, (1,) * count) for name in ("strides", "dilations"))
    pads = wholes(node, "pads", (0,) * 2 * count)
    sizes = [
        (images[axis] + pads[axis] + pads[axis + count] - dilations[axis] * (kernel[axis] - 1) - 1) // strides[axis] + 1
        for axis in range(count)
    ]
    return (shape[0], weight[0], *sizes)


def _filled(known: Shapes, node: NodeProto) -> Shape | None:
    return known.contents.get(node.input[0])


RULES: Mapping[str, Callable[[Shapes, NodeProto], Shape | None]] = {
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceSumSquare", "ReduceL2"), _reduce),
    "Attention": _attention,
    "Concat": _concat,
    "ConstantOfShape": _filled,
    "Conv": _conv,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherND": _gather_nd,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape_of,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""How the shape of the first output follows from the inputs."""


def _picked(known: Shapes, node: NodeProto) -> Shape | None:
    content, places = known.contents.get(node.input[0]), known.contents.get(node.input[1])
    if content is None or places is None or known.shapes.get(node.input[0]) == ():
        return None
    if not all(isinstance(place, int) and -len(content) <= place < len(content) for place in places):
        return None
    return tuple(content[place] for place in places if isinstance(place, int))


def _joined(known: Shapes, node: NodeProto) -> Shape | None:
    found: list[Dim] = []
    for name in node.input:
        content = known.contents.get(name)
        if content is None:
            return None
        found += content
    return tuple(found)


def _part(known: Shapes, node: NodeProto) -> Shape | None:
    content = known.contents.get(node.input[0])
    ends = [known.contents.get(name) for name in node.input[1:3]]
    steps = known.contents.get(node.input[4]) if len(node.input) > 4 else (1,)
    if content is None or len(ends) < 2 or ends[0] is None or ends[1] is None or steps != (1,):
        return None
    start, end = ends[0][0], ends[1][0]
    return content[start:end] if isinstance(start, int) and isinstance(end, int) else None


def _same(known: Shapes, node: NodeProto) -> Shape | None:
    return known.contents.get(node.input[0])


def _cast(known: Shapes, node: NodeProto) -> Shape | None:
    content = known.contents.get(node.input[0])
    if whole(node, "to", 0) == BOOL:
        return content if content is not None and all(size in (0, 1) for size in content) else None
    return content if whole(node, "to", 0) in WHOLE else None


def _computed(known: Shapes, node: NodeProto) -> Shape | None:
    left, right = (known.contents.get(name) for name in node.input)
    if left is None or right is None or (len(left) != len(right) and 1 not in (len(left), len(right))):
        return None
    length = max(len(left), len(right))
    pairs = zip(left * (length // len(left)), right * (length // len(right)), strict=True)
    return tuple(NUMBERS[node.op_type](a, b) for a, b in pairs) if left and right else None


def _equal(known: Shapes, node: NodeProto) -> Shape | None:
    left, right = (known.contents.get(name) for name in node.input)
    if left is None or right is None or len(left) != len(right):
        return None
    pairs = list(zip(left, right, strict=True))
    return tuple(int(a == b) for a, b in pairs) if all(_comparable(a, b) for a, b in pairs) else None


def _comparable(left: Dim, right: Dim) -> bool:
    """Whether it is known that two sizes are equal, or that they are not: no size is negative."""
    return left == right or (isinstance(left, int) and isinstance(right, int)) or _negative(left) or _negative(right)


def _chosen(known: Shapes, node: NodeProto) -> Shape | None:
    which, yes, no = (known.contents.get(name) for name in node.input)
    if which is None or yes is None or no is None or not len(which) == len(yes) == len(no):
        return None
    return tuple(a if first else b for first, a, b in zip(which, yes, no, strict=True))


def _repeated(known: Shapes, node: NodeProto) -> Shape | None:
    import onnx

    length = known.contents.get(node.input[0])
    filled = next((entry.t for entry in node.attribute if entry.name == "value"), None)
    if length is None or len(length) != 1 or not isinstance(length[0], int) or length[0] > LONGEST:
        return None
    if filled is None or filled.data_type not in (*WHOLE, BOOL):
        return None
    return (int(onnx.numpy_helper.to_array(filled).reshape(-1)[0]),) * length[0]


def _divided(left: Dim, right: Dim) -> Dim:
    if isinstance(left, int) and isinstance(right, int) and left >= 0 and right > 0:
        return left // right
    return left if right == 1 else ("//", left, right)


NUMBERS: Mapping[str, Callable[[Dim, Dim], Dim]] = {"Add": plus, "Sub": minus, "Mul": times, "Div": _divided}
CONTENTS: Mapping[str, Callable[[Shapes, NodeProto], Shape | None]] = {
    **dict.fromkeys(NUMBERS, _computed),
    **dict.fromkeys(("Identity", "Reshape", "Squeeze", "Unsqueeze"), _same),
    "Cast": _cast,
    "Concat": _joined,
    "ConstantOfShape": _repeated,
    "Equal": _equal,
    "Gather": _picked,
    "Shape": _dims_of,
    "Slice": _part,
    "Where": _chosen,
}
"""How the elements of a small vector follow from those of the inputs."""
