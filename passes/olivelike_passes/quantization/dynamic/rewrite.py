"""Rewrite a model so that the nodes found compute on integers, in every graph of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike.onnxfile.names import Names as NodeNames
from olivelike.onnxfile.walk import graphs, nodes
from olivelike_passes.header import replace_all
from olivelike_passes.quantization.coded import IntegerWeights
from olivelike_passes.quantization.dynamic.convolution import write_convolution
from olivelike_passes.quantization.dynamic.found import Found
from olivelike_passes.quantization.dynamic.fused import write_attention, write_embedding, write_lstm
from olivelike_passes.quantization.dynamic.gather import write_lookup
from olivelike_passes.quantization.dynamic.graph_writer import GraphWriter
from olivelike_passes.quantization.dynamic.matmul import write_product

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

FUSED = "com.microsoft"


@dataclass(frozen=True, slots=True)
class Scheme:
    """How weights are quantized: their forms, and whether each channel has a scale of its own."""

    weights: IntegerWeights
    per_channel: bool


def rewrite(model: ModelProto, found: Sequence[Found], scheme: Scheme) -> None:
    """Puts integer operators in the place of the nodes found, in place, and drops the float weights that nobody reads then."""
    of_graph: dict[int, dict[int, Found]] = defaultdict(dict)
    for each in found:
        of_graph[id(each.graph)][id(each.node)] = each
    tied = _tied(found)
    behind = {each.matrix.behind.output[0] for each in found if each.matrix is not None and each.matrix.behind}
    weights = {tensor.name for each in found for tensor in each.weights.values()}
    weights |= {each.matrix.tensor.name for each in found if each.matrix is not None}
    names = NodeNames(node.name for node in nodes(model))
    for graph in reversed(list(graphs(model))):  # a graph's nodes are copied, so those inside them come first
        if id(graph) in of_graph:
            _rewrite_graph(graph, of_graph[id(graph)], scheme, tied, names)
    _drop_unread(model, behind, weights)
    fused = any(node.domain == FUSED for graph in graphs(model) for node in graph.node)
    if fused and not any(entry.domain == FUSED for entry in model.opset_import):
        model.opset_import.add(domain=FUSED, version=1)


def _rewrite_graph(
    graph: GraphProto, found: dict[int, Found], scheme: Scheme, tied: Collection[int], names: NodeNames
) -> None:
    writer = GraphWriter(scheme.weights.names, names)
    for node in list(graph.node):
        if id(node) in found:
            _write(found[id(node)], writer, scheme, tied)
        else:
            writer.nodes.append(node)
    replace_all(graph.node, writer.nodes)


def _write(found: Found, writer: GraphWriter, scheme: Scheme, tied: Collection[int]) -> None:
    weights, per_channel = scheme.weights, scheme.per_channel
    match found.node.op_type:
        case "MatMul" | "Gemm" if found.matrix is not None:
            write_product(found.matrix, writer, weights, per_channel=per_channel, tied=id(found.matrix.tensor) in tied)
        case "Gather" if found.matrix is not None:
            write_lookup(found.matrix, writer, weights, per_channel=per_channel)
        case "LSTM":
            write_lstm(found, writer, weights, per_channel=per_channel)
        case "Conv":
            write_convolution(found, writer, weights, per_channel=per_channel)
        case "Attention":
            write_attention(found, writer, weights, per_channel=per_channel)
        case _:
            write_embedding(found, writer, weights)


def _tied(found: Sequence[Found]) -> frozenset[int]:
    """Returns the weights out of which rows are looked up and by which something is multiplied, with the same codes."""
    used = [each.matrix for each in found if each.matrix is not None]
    looked_up = {id(matrix.tensor) for matrix in used if matrix.kind == "Gather"}
    return frozenset(
        id(matrix.tensor)
        for matrix in used
        if matrix.kind != "Gather" and matrix.rows_are_outputs and id(matrix.tensor) in looked_up
    )


def _drop_unread(model: ModelProto, behind: Collection[str], weights: Collection[str]) -> None:
    behind = set(behind) - _read(model)
    for graph in graphs(model) if behind else ():
        replace_all(graph.node, [node for node in graph.node if not behind.intersection(node.output)])
        replace_all(graph.value_info, [entry for entry in graph.value_info if entry.name not in behind])
    weights = set(weights) - _read(model)
    for graph in graphs(model):
        for place in reversed(range(len(graph.initializer))):
            if graph.initializer[place].name in weights:
                del graph.initializer[place]


def _read(model: ModelProto) -> set[str]:
    found = {name for graph in graphs(model) for node in graph.node for name in node.input}
    return found | {output.name for graph in graphs(model) for output in graph.output}
