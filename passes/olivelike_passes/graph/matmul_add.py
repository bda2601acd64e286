"""A product and a sum that the runtime has made a `Gemm` between two reshapes become a product and a sum again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING

from olivelike.onnxfile.wiring import makers, reads
from olivelike_passes.header import replace_all

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto


def undo_gemm(graph: GraphProto, known: Collection[str]) -> None:
    """Puts `MatMul` and `Add` in the place of `Reshape`, `Gemm` and `Reshape`, in place; only of those the runtime made.

    The runtime's fusion of `MatMul` and `Add` does so where the shapes are fixed and the input has more than two axes: three
    nodes where there were two, bound to one batch size, and no pattern of an attention any more.

    Args:
        graph: what the runtime made.
        known: the names of values in what it made it from.
    """
    nodes = list(graph.node)
    made_by = makers(nodes)
    times = Counter(name for node in nodes for name in reads(node))
    instead: dict[int, list[NodeProto]] = {}
    for place, last in enumerate(nodes):
        middle = made_by.get(last.input[0], place) if last.op_type == "Reshape" else place
        first = made_by.get(nodes[middle].input[0], middle) if _is_plain_gemm(nodes[middle]) else middle
        if first == middle or nodes[first].op_type != "Reshape":
            continue
        inner = (nodes[first].output[0], nodes[middle].output[0])
        if all(name not in known and times[name] == 1 for name in inner):
            instead |= {first: [], middle: [], place: _apart(nodes[first], nodes[middle], last)}
    if instead:
        replace_all(graph.node, [new for place, node in enumerate(nodes) for new in instead.get(place, [node])])


def _is_plain_gemm(node: NodeProto) -> bool:
    import onnx

    usual = {"transA": 0, "transB": 0, "alpha": 1.0, "beta": 1.0}
    given = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    return node.op_type == "Gemm" and len(node.input) == 3 and {**usual, **given} == usual


def _apart(first: NodeProto, gemm: NodeProto, last: NodeProto) -> list[NodeProto]:
    import onnx

    product = gemm.output[0]
    return [
        onnx.helper.make_node("MatMul", [first.input[0], gemm.input[1]], [product], name=gemm.name),
        onnx.helper.make_node("Add", [product, gemm.input[2]], list(last.output), name=last.name),
    ]
