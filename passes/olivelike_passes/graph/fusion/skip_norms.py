"""An addition, and the normalization of the sum, become one operator: the end of every block of a transformer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from olivelike_passes.graph.fusion.build import fused_node
from olivelike_passes.graph.fusion.dims import together
from olivelike_passes.graph.fusion.net import Net
from olivelike_passes.graph.fusion.nodes import real, whole

if TYPE_CHECKING:
    from onnx import NodeProto

EPSILON = 1e-5
"""What both operators add where they do not say (ONNX, Operators.md)."""


class Normalized(Protocol):
    """What a normalization over the last axis is made of."""

    @property
    def source(self) -> str:
        """What is normalized."""

    @property
    def epsilon(self) -> float:
        """What is added to the variance."""

    @property
    def weight(self) -> str:
        """The vector that the result is multiplied by."""

    @property
    def bias(self) -> str:
        """The vector that is added then, or nothing."""


class _Operator:
    """A `LayerNormalization` or `RMSNormalization` of the model."""

    def __init__(self, node: NodeProto) -> None:
        self.source, self.weight = node.input[0], node.input[1]
        self.bias = node.input[2] if len(node.input) > 2 else ""
        self.epsilon = real(node, "epsilon", EPSILON)


def fuse_skip_norms(net: Net) -> None:
    """Puts the runtime's operators in for additions that a normalization follows."""
    for node in net.nodes("LayerNormalization", "RMSNormalization"):
        if net.has(node) and is_over_vectors(net, node):
            kind = (
                "SkipLayerNormalization" if node.op_type == "LayerNormalization" else "SkipSimplifiedLayerNormalization"
            )
            as_skip_norm(net, kind, _Operator(node), node)


def is_over_vectors(net: Net, node: NodeProto) -> bool:
    """Whether a normalization is of the last axis, its first output all that is taken, scale and bias vectors of its length.

    ONNX broadcasts other scales and biases, on which fused operators fail.
    """
    shape, length = net.shape(node.input[0]), net.last(node.input[0])
    last = shape is not None and whole(node, "axis", -1) in (-1, len(shape) - 1)
    if not last or any(name and not net.is_unused(name) for name in node.output[1:]):
        return False
    vectors = all(net.shape(name) == (length,) for name in node.input[1:] if name)
    return vectors and net.vector(node.input[1]) is not None


def as_skip_norm(net: Net, kind: str, norm: Normalized, end: NodeProto) -> bool:
    """Puts a fused operator in for a normalization of a sum, if it is one of two values of the same shape.

    Returns:
        whether it did.
    """
    add = net.maker(norm.source, "Add")
    if add is None:
        return False
    fitting = _with_the_larger_first(net, list(add.input))
    if not fitting:
        net.near[
            "an addition before a normalization whose two terms are not known to have one shape of 2 or 3 axes"
        ] += 1
        return False
    terms, bias = _without_bias(net, fitting)
    inputs = [*terms, norm.weight, *([norm.bias] if kind == "SkipLayerNormalization" else []), bias]
    # Whoever else takes the sum gets it from the fused operator: its fourth output.
    total = "" if net.is_inner(norm.source) else norm.source
    node = fused_node(kind, inputs, [end.output[0], "", "", total], end.name, epsilon=norm.epsilon)
    return net.replace([node], kind)


def _with_the_larger_first(net: Net, terms: list[str]) -> list[str]:
    """Returns the two terms of a sum, if the operator takes them: of one shape, or the second the same for the whole batch."""
    for first, second in (terms, terms[::-1]):
        shape, other = net.shape(first), net.shape(second)
        if shape is None or other is None or len(shape) not in (2, 3):
            continue
        # Embeddings of positions, cut off at their number, are as many as there are tokens: the sum would fail otherwise.
        for_all = len(shape) == len(other) == 3 and other[0] == 1 and other[2] == shape[2] and other[1] != 1
        if other == shape or (for_all and together(shape[1], other[1]) == shape[1]):
            return [first, second]
    return []


def _without_bias(net: Net, terms: list[str]) -> tuple[list[str], str]:
    """Returns the two terms, and apart the vector that one of them is a sum with."""
    for place, term in enumerate(terms):
        add = net.inner(term, "Add") if terms[0] != terms[1] else None
        for value, vector in () if add is None else (tuple(add.input), tuple(add.input)[::-1]):
            length = net.vector(vector)
            if length is not None and length == net.last(term) and net.shape(value) == net.shape(term):
                terms[place] = value
                return terms, vector
    return terms, ""
