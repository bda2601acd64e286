"""How the shape of an operator's first output follows from its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from olivelike_passes.graph.fusion.content_rules import dims_of
from olivelike_passes.graph.fusion.dims import Dim, Shape, broadcast, may_be_negative, minus, plus, quotient, term
from olivelike_passes.graph.fusion.nodes import axes_of, whole, wholes, word

if TYPE_CHECKING:
    from onnx import NodeProto

    from olivelike_passes.graph.fusion.shapes import Shapes

LARGE = 2**31 - 1


def _shape_of(known: Shapes, node: NodeProto) -> Shape | None:
    content = dims_of(known, node)
    return None if content is None else (len(content),)


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
    if wanted is None or any(size != -1 and may_be_negative(size) for size in wanted):
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
        return term("cut", size, term("..", start, end))
    if start != 0:
        return term("cut", size, term("..", start, end)) if end != size or _negative(start) else minus(size, start)
    return size if end == size else term("min", end, size)


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
    if not start or not limit or step != (1,):
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


def _embedded(known: Shapes, node: NodeProto) -> Shape | None:
    ids, table = known.shapes.get(node.input[0]), known.shapes.get(node.input[2])
    return None if ids is None or table is None else (*ids, table[-1])


FUSED: Mapping[str, Callable[[Shapes, NodeProto], Shape | None]] = {
    "EmbedLayerNormalization": _embedded,
    "FusedConv": _conv,
}
"""The same for operators of the runtime's."""
SHAPES: Mapping[str, Callable[[Shapes, NodeProto], Shape | None]] = {
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
