"""How the elements of a small vector of whole numbers follow from those of an operator's inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from olivelike_passes.graph.fusion.dims import Dim, Shape, minus, plus, term, times
from olivelike_passes.graph.fusion.nodes import whole

if TYPE_CHECKING:
    from onnx import NodeProto

    from olivelike_passes.graph.fusion.shapes import Shapes

WHOLE = (6, 7)
"""int32 and int64 (onnx.proto, `TensorProto.DataType`)."""
BOOL = 9
LONGEST = 16
"""Vectors of up to so many numbers are followed: shapes and parts of shapes."""


def dims_of(known: Shapes, node: NodeProto) -> Shape | None:
    """Returns the sizes that a `Shape` gives."""
    shape = known.shapes.get(node.input[0])
    return None if shape is None else shape[whole(node, "start", 0) : whole(node, "end", len(shape))]


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
    if content is None or len(ends) < 2 or not ends[0] or not ends[1] or steps != (1,):
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
    if not left or not right or (len(left) != len(right) and 1 not in (len(left), len(right))):
        return None
    length = max(len(left), len(right))
    pairs = zip(left * (length // len(left)), right * (length // len(right)), strict=True)
    return tuple(NUMBERS[node.op_type](a, b) for a, b in pairs)


def _equal(known: Shapes, node: NodeProto) -> Shape | None:
    left, right = (known.contents.get(name) for name in node.input)
    if left is None or right is None or len(left) != len(right):
        return None
    pairs = list(zip(left, right, strict=True))
    return tuple(int(a == b) for a, b in pairs) if all(_comparable(a, b) for a, b in pairs) else None


def _comparable(left: Dim, right: Dim) -> bool:
    """Whether it is known that two sizes are equal, or that they are not: no size is negative."""
    return left == right or (isinstance(left, int) and isinstance(right, int)) or _negative(left) or _negative(right)


def _negative(size: Dim) -> bool:
    return isinstance(size, int) and size < 0


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
    return left if right == 1 else term("//", left, right)


NUMBERS: Mapping[str, Callable[[Dim, Dim], Dim]] = {"Add": plus, "Sub": minus, "Mul": times, "Div": _divided}
CONTENTS: Mapping[str, Callable[[Shapes, NodeProto], Shape | None]] = {
    **dict.fromkeys(NUMBERS, _computed),
    **dict.fromkeys(("Identity", "Reshape", "Squeeze", "Unsqueeze"), _same),
    "Cast": _cast,
    "Concat": _joined,
    "ConstantOfShape": _repeated,
    "Equal": _equal,
    "Gather": _picked,
    "Shape": dims_of,
    "Slice": _part,
    "Where": _chosen,
}
"""How the elements of a small vector follow from those of the inputs."""
