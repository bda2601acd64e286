"""What is quantized in a graph: operators that compute on integers, and the scale and zero point of an integer value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import NodeProto

TYPES = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QAttention", "QGemm"})
STARTS = ("QLinear", "DynamicQuantize", "QEmbed", "QMoE", "QOrdered")
ENDS = ("Integer", "NBits", "Bnb4", "Fpq4", "IntegerToFloat", "BlockQuantized")

GRID_OF_OUTPUT = {"QLinearConcat": (0, 1), "QLinearConv": (6, 7), "QuantizeLinear": (1, 2)}
"""Which inputs of an operator are scale and zero point of what it gives; of all others named `QLinear...` and of `QGemm` the
last two (ONNX Runtime, ContribOperators.md)."""


@dataclass(frozen=True, slots=True)
class Grid:
    """By which values integers stand for real numbers: the names of a scale and a zero point; both empty if unknown."""

    scale: str = ""
    zero_point: str = ""

    @property
    def known(self) -> bool:
        """Whether there is one."""
        return bool(self.scale and self.zero_point)


def is_quantized(kind: str) -> bool:
    """Whether operators of a type compute on quantized values, or make or end them."""
    return kind in TYPES or kind.startswith(STARTS) or kind.endswith(ENDS)


def output_grid(node: NodeProto) -> Grid:
    """Returns the grid of the integers that a quantized operator gives; unknown where its type names none."""
    if node.op_type not in GRID_OF_OUTPUT and not (node.op_type.startswith("QLinear") or node.op_type == "QGemm"):
        return Grid()
    names: Sequence[str] = node.input
    scale, zero_point = GRID_OF_OUTPUT.get(node.op_type, (len(names) - 2, len(names) - 1))
    return Grid(names[scale], names[zero_point]) if zero_point < len(names) else Grid()
