"""Ranges of values that no calibration has seen, because raising the opset made them: what follows from their neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto

MOVERS = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
"""Operators that give the numbers they take, in another shape."""

Range = tuple[float, float]


def completed(ranges: Mapping[str, Range], model: ModelProto) -> dict[str, Range]:
    """Returns the ranges with those of values that only move numbers, on either side, and of what a softmax gives.

    Args:
        ranges: lowest and highest number of each activation seen.
        model: the structure after its opset was raised.
    """
    found = dict(ranges)
    for node in model.graph.node:
        if node.op_type == "Softmax":
            found.setdefault(node.output[0], (0.0, 1.0))
        if node.op_type in MOVERS and node.input[0] in found:
            found.setdefault(node.output[0], found[node.input[0]])
    for node in reversed(model.graph.node):
        if node.op_type in MOVERS and node.output[0] in found:
            found.setdefault(node.input[0], found[node.output[0]])
    return found
