"""Which operators know where the channels are, which do not care, and which values are images because of that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from olivelike.onnxfile.wiring import makers, reads

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

SPATIAL = frozenset(
    (
        "AveragePool", "BatchNormalization", "Conv", "ConvInteger", "ConvTranspose", "DepthToSpace", "GlobalAveragePool",
        "GlobalLpPool", "GlobalMaxPool", "GroupNormalization", "InstanceNormalization", "LRN", "LpPool", "MaxPool",
        "MaxRoiPool", "MaxUnpool", "QLinearConv", "RoiAlign", "SpaceToDepth",
    )
)  # fmt: skip
"""Operators whose first input is [batch, channels, ...] by definition (ONNX operator specification)."""
UNARY = frozenset(
    (
        "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cast", "Ceil", "Celu", "Clip", "Cos", "Cosh",
        "DequantizeLinear", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu",
        "Log", "Mish", "Neg", "Not", "QuantizeLinear", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign",
        "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Tan", "Tanh", "ThresholdedRelu",
    )
)  # fmt: skip
"""Operators on each element alone; where they have further inputs (a bound, a scale), these are single numbers."""
BINARY = frozenset(("Add", "Div", "Max", "Min", "Mod", "Mul", "PRelu", "Pow", "Sub"))
"""Operators on each element of two values, of which one may be broadcast."""


def own(node: NodeProto) -> bool:
    """Whether a node's operator is one of ONNX's."""
    return node.domain in ("", "ai.onnx")


class Readers:
    """Who reads each value of a main graph, as it is when it is asked for.

    Attributes:
        nodes: value to the nodes that read it; those inside branches and loops count as the node they are in.
        makers: value to the node that makes it.
    """

    def __init__(self, graph: GraphProto) -> None:
        """Looks at a graph as it is."""
        self.nodes: dict[str, list[NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in reads(node):
                self.nodes[name].append(node)
        self.makers = {name: graph.node[place] for name, place in makers(graph.node).items()}
        self._ends = {entry.name for entry in graph.output}

    def only(self, value: str) -> NodeProto | None:
        """Returns the one node that reads a value; nothing where several do or it is an output."""
        found = self.nodes.get(value, [])
        return found[0] if len(found) == 1 and value not in self._ends else None

    def is_output(self, value: str) -> bool:
        """Whether a value is one of the graph's outputs."""
        return value in self._ends


def goes_into_image_operator(value: str, readers: Readers) -> bool:
    """Whether a value is read by an operator on images, at most operators on single elements between."""
    ahead, seen = [value], {value}
    while ahead:
        for node in readers.nodes.get(ahead.pop(), []):
            if own(node) and node.op_type in SPATIAL and node.input[0] in seen:
                return True
            ahead += _onward(node, node.output, seen)
    return False


def comes_from_image_operator(value: str, readers: Readers) -> bool:
    """Whether a value is made by an operator on images, at most operators on single elements between."""
    ahead, seen = [value], {value}
    while ahead:
        node = readers.makers.get(ahead.pop())
        if node is None:
            continue
        if own(node) and node.op_type in SPATIAL:
            return True
        ahead += _onward(node, node.input, seen)
    return False


def _onward(node: NodeProto, names: Iterable[str], seen: set[str]) -> list[str]:
    if not own(node) or node.op_type not in UNARY | BINARY:
        return []
    found = [name for name in names if name and name not in seen]
    seen |= set(found)
    return found
