"""An order and names that a graph's meaning decides, for tools that give the same graph another order or names each time."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from olivelike.onnxfile.names import Names, all_names, values_of
from olivelike.onnxfile.walk import graphs
from olivelike.onnxfile.wiring import makers, reads, rename_values
from olivelike_passes.header import replace_all

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto


def settle(model: ModelProto, original: ModelProto) -> None:
    """Orders the nodes and weights of every graph by what its outputs need first, and names what a tool has made anew.

    Args:
        model: what a tool made.
        original: what it made it from; the names of nodes and values that it has already stay.
    """
    nodes = {node.name for graph in graphs(original) for node in graph.node}
    for graph in graphs(model):
        _order(graph)
    name_new_values(model, all_names(original))
    for graph in graphs(model):
        _name_nodes(graph, nodes)


def name_new_values(model: ModelProto, known: Collection[str]) -> None:
    """Names the values that a tool has made anew: weights by number, others after the node that makes them.

    The runtime cannot load some models that hold values with the names it gives itself (`gemm_input_shape`, of its fusion of
    `MatMul` and `Add`; ONNX Runtime 1.32.0).

    Args:
        model: what a tool made.
        known: the names in what it made it from; they stay.
    """
    free = Names(all_names(model) | set(known))
    for graph in graphs(model):
        _name_values(graph, known, free)


def _order(graph: GraphProto) -> None:
    made_by = makers(graph.node)
    order: dict[int, None] = {}
    needed: dict[str, None] = {}
    wanted = [entry.name for entry in graph.output]
    for start in (*(made_by[name] for name in wanted if name in made_by), *range(len(graph.node))):
        ahead = [(start, False)]
        while ahead:
            place, ready = ahead.pop()
            if ready:
                order[place] = None
                needed.update(dict.fromkeys(reads(graph.node[place])))
            elif place not in order:
                ahead.append((place, True))
                before = (made_by[name] for name in reversed(reads(graph.node[place])) if name in made_by)
                ahead += [(each, False) for each in before if each not in order]
    replace_all(graph.node, [graph.node[place] for place in order])
    rank = {name: number for number, name in enumerate(needed)}
    replace_all(graph.initializer, sorted(graph.initializer, key=lambda tensor: rank.get(tensor.name, len(rank))))


def _name_values(graph: GraphProto, known: Collection[str], free: Names) -> None:
    """Names new weights in the order in which nodes read them, and new values after the node that makes them."""
    kinds = {tensor.name: "weight" for tensor in graph.initializer}
    kinds |= {name: node.op_type for node in graph.node for name in node.output if name}
    new = [name for name in values_of(graph) if name in kinds and name not in known]
    rename_values(graph, {name: free.numbered(f"{kinds[name]}_made") for name in new})


def _name_nodes(graph: GraphProto, known: Collection[str]) -> None:
    new = [node for node in graph.node if node.name not in known]
    free = Names(node.name for node in graph.node if node.name in known)
    for node in new:
        node.name = free.numbered(f"{node.op_type}_made")
