"""Which nodes give the same whenever they are given the same: copies of such may be made, and repeated ones be one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from olivelike.onnxfile.wiring import graphs_inside

if TYPE_CHECKING:
    from onnx import NodeProto

RANDOM = frozenset({
    "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
})  # fmt: skip
"""ONNX's operators that give something else each time, but for a `Dropout` in training."""
KNOWN_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
TRAINING_INPUT = 2


def draws(node: NodeProto) -> bool:
    """Whether a node itself is one of ONNX's operators that draw random numbers, or a `Dropout` that may be told to."""
    if node.op_type == "Dropout":  # `is_test` is that of opset 1 to 6
        return any(a.name == "is_test" and not a.i for a in node.attribute) or (
            len(node.input) > TRAINING_INPUT and bool(node.input[TRAINING_INPUT])
        )
    return node.op_type in RANDOM


def is_repeatable(node: NodeProto) -> bool:
    """Whether a node is known to give the same each time, with all that is in its branches and loops."""
    if node.domain not in KNOWN_DOMAINS or draws(node):
        return False
    return all(is_repeatable(inner) for graph in graphs_inside(node) for inner in graph.node)
