"""A product and a sum that the runtime has made a `Gemm` between two reshapes become a product and a sum again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.onnxfile.external import is_external
from olivelike.onnxfile.inference import inferred
from olivelike.onnxfile.wiring import makers, reads
from olivelike_passes.header import replace_all

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

SUFFIX = "/MatMulAddFusion"


def undo_gemm(model: ModelProto, path: Path, known: Collection[str], names: Mapping[str, str]) -> None:
    """Puts `MatMul` and `Add` in the place of `Reshape`, `Gemm` and `Reshape`, in place; only of those the runtime made.

    The runtime's fusion of `MatMul` and `Add` does so where the shapes are fixed and the input has more than two axes: three
    nodes where there were two, bound to one batch size, and no pattern of an attention any more. Where one of the reshapes does
    more than that (the runtime merges it with a neighbour), the three stay.

    Args:
        model: what the runtime made; only its main graph is looked at.
        path: its file.
        known: the names of values in what it made it from.
        names: the names of nodes there, by the values that they made.
    """
    nodes = list(model.graph.node)
    found = list(_triples(model.graph, nodes, known))
    if not found:
        return
    shapes = _shapes(model, path)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    instead: dict[int, list[NodeProto]] = {}
    for triple in found:
        first, gemm, last = (nodes[place] for place in (triple.first, triple.gemm, triple.last))
        given, columns = shapes.get(first.input[0]), weights.get(gemm.input[1])
        if given is None or columns is None or len(columns.dims) != 2 or len(given) < 2:
            continue
        wanted = [math.prod(given[:-1]), given[-1]], [*given[:-1], int(columns.dims[1])]
        if (_numbers(weights.get(first.input[1])), _numbers(weights.get(last.input[1]))) == wanted:
            instead |= {triple.first: [], triple.gemm: [], triple.last: _apart(first, gemm, last, names)}
    if instead:
        replace_all(model.graph.node, [new for place, node in enumerate(nodes) for new in instead.get(place, [node])])


@dataclass(frozen=True, slots=True)
class _Triple:
    """The places of a `Reshape`, a `Gemm` that alone reads it, and a `Reshape` that alone reads that."""

    first: int
    gemm: int
    last: int


def _triples(graph: GraphProto, nodes: Sequence[NodeProto], known: Collection[str]) -> list[_Triple]:
    made_by = makers(nodes)
    times = Counter(name for node in nodes for name in reads(node)) + Counter(entry.name for entry in graph.output)
    found = []
    for place, last in enumerate(nodes):
        middle = made_by.get(last.input[0], place) if last.op_type == "Reshape" else place
        first = made_by.get(nodes[middle].input[0], middle) if _is_plain_gemm(nodes[middle]) else middle
        if first == middle or nodes[first].op_type != "Reshape":
            continue
        inner = (nodes[first].output[0], nodes[middle].output[0])
        if all(name not in known and times[name] == 1 for name in inner):
            found.append(_Triple(first, middle, place))
    return found


def _is_plain_gemm(node: NodeProto) -> bool:
    import onnx

    usual = {"transA": 0, "transB": 0, "alpha": 1.0, "beta": 1.0}
    given = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    return node.op_type == "Gemm" and len(node.input) == 3 and {**usual, **given} == usual


def _shapes(model: ModelProto, path: Path) -> dict[str, list[int]]:
    """Returns the shapes that are fixed in all their dimensions."""
    graph = inferred(model, path).graph
    found = {}
    for entry in (*graph.input, *graph.value_info, *graph.output):
        tensor = entry.type.tensor_type
        if tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            found[entry.name] = [dim.dim_value for dim in tensor.shape.dim]
    return found


def _numbers(tensor: TensorProto | None) -> list[int] | None:
    import onnx

    if tensor is None or is_external(tensor):
        return None
    return [int(number) for number in onnx.numpy_helper.to_array(tensor).reshape(-1)]


def _apart(first: NodeProto, gemm: NodeProto, last: NodeProto, names: Mapping[str, str]) -> list[NodeProto]:
    import onnx

    product, name = gemm.output[0], names.get(last.output[0], last.name)
    inputs = [first.input[0], gemm.input[1]]
    return [
        onnx.helper.make_node("MatMul", inputs, [product], name=gemm.name.removesuffix(SUFFIX)),
        onnx.helper.make_node("Add", [product, gemm.input[2]], list(last.output), name=name),
    ]
