"""What shapes the values of a graph have, in names where numbers are not known; what the small vectors of sizes hold.

ONNX's own inference names sizes too, but gives up where exporters compute a shape from other shapes, which is what the
heads of an attention are split by. What is not known here is no value's shape: patterns then do not match.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from olivelike_passes.graph.fusion.build import MICROSOFT
from olivelike_passes.graph.fusion.content_rules import CONTENTS, LONGEST
from olivelike_passes.graph.fusion.dims import Dim, Shape, broadcast
from olivelike_passes.graph.fusion.nodes import is_standard, whole, wholes
from olivelike_passes.graph.fusion.shape_rules import FUSED, SHAPES

if TYPE_CHECKING:
    from onnx import NodeProto, ValueInfoProto

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
        # A node that is odd (fewer inputs than its operator has, axes that there are not) has no shape that is known.
        with suppress(LookupError, ValueError, ZeroDivisionError):
            self._follow(node)

    def _follow(self, node: NodeProto) -> None:
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
        if kind in ALIKE and node.domain in ("", "ai.onnx", MICROSOFT):
            return known.get(node.input[0])
        if kind in PAIRS and is_standard(node):
            return self._paired(node)
        rule = SHAPES.get(kind) if is_standard(node) else FUSED.get(kind) if node.domain == MICROSOFT else None
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


def declared(entry: ValueInfoProto, scope: str) -> Shape:
    """Returns an input's shape; a dimension without a name is one of its own."""
    dims = entry.type.tensor_type.shape.dim
    return tuple(
        int(dim.dim_value)
        if dim.HasField("dim_value")
        else (f"{scope}{dim.dim_param}" if dim.dim_param else f"{scope}?{entry.name}.{axis}")
        for axis, dim in enumerate(dims)
    )
