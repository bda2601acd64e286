"""How a graph's nodes hang together: who makes a value, what a node reads, what leads to some values, an order to run in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

from olivelike.onnxfile.names import Names, values_of
from olivelike.onnxfile.walk import HOLD_GRAPHS, graphs

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto


def makers(nodes: Sequence[NodeProto]) -> dict[str, int]:
    """Returns for every value that some nodes make the place of the node that makes it."""
    return {name: place for place, node in enumerate(nodes) for name in node.output if name}


def reads(node: NodeProto) -> tuple[str, ...]:
    """Returns what a node reads: its inputs, then what the graphs inside it (`If`, `Loop`) take from around them."""
    found = dict.fromkeys(node.input)
    found.pop("", None)
    for graph in graphs_inside(node) if node.attribute else ():
        found.update(dict.fromkeys(_captures(graph)))
    return tuple(found)


def leading_to(
    wanted: Iterable[str], nodes: Sequence[NodeProto], made_by: dict[str, int], stops: Collection[str] = frozenset()
) -> list[int]:
    """Returns the places of the nodes that values are computed by, in the graph's order.

    Args:
        wanted: names of values.
        nodes: the graph's nodes.
        made_by: what `makers` returned for them.
        stops: values at which the walk back ends; one that is wanted itself stops nothing.
    """
    seen: set[int] = set()
    ahead = [made_by[name] for name in wanted if name in made_by]
    while ahead:
        place = ahead.pop()
        if place not in seen:
            seen.add(place)
            ahead += [made_by[name] for name in reads(nodes[place]) if name in made_by and name not in stops]
    return sorted(seen)


def rename_reads(node: NodeProto, names: Mapping[str, str]) -> None:
    """Renames what a node reads, in the graphs inside it too, in place.

    A value of an inner graph that would hide a new name from those who read it there gets another name.
    """
    for place, name in enumerate(node.input):
        if name in names:
            node.input[place] = names[name]
    for graph in graphs_inside(node) if node.attribute else ():
        own = set(values_of(graph))
        outer = {old: new for old, new in names.items() if old not in own}
        _clear_the_way(graph, outer)
        for inner in graph.node:
            rename_reads(inner, outer)
        for output in graph.output:
            output.name = outer.get(output.name, output.name)


def rename_values(graph: GraphProto, names: Mapping[str, str]) -> None:
    """Renames values of a graph wherever they are named, all at once: two may trade names.

    The new names must be free in the graph itself; in the graphs inside it, values that would hide them get others.
    """
    mapping = dict(names)
    for entry in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        entry.name = mapping.get(entry.name, entry.name)
    for sparse in graph.sparse_initializer:
        sparse.values.name = mapping.get(sparse.values.name, sparse.values.name)
    for note in graph.quantization_annotation:
        note.tensor_name = mapping.get(note.tensor_name, note.tensor_name)
        for pair in note.quant_parameter_tensor_names:
            pair.value = mapping.get(pair.value, pair.value)
    for node in graph.node:
        for place, name in enumerate(node.output):
            node.output[place] = mapping.get(name, name)
        rename_reads(node, mapping)


def _clear_the_way(graph: GraphProto, names: Mapping[str, str]) -> None:
    """Gives an inner graph's own values other names where they would hide what it reads from around it by a new name."""
    read = _captures(graph)
    own = set(values_of(graph))
    hiding = own & {names[name] for name in read if name in names}
    if hiding:
        free = Names(own | set(read) | set(names.values()))
        rename_values(graph, {name: free.numbered(name) for name in sorted(hiding)})


def tidy(graph: GraphProto) -> None:
    """Takes out nodes and initializers that lead to no output, and puts the nodes in an order that they can run in."""
    nodes = _sorted(graph.node)
    kept = [nodes[place] for place in leading_to((o.name for o in graph.output), nodes, makers(nodes))]
    copies = [deepcopy(node) for node in kept]  # emptying the field empties the messages in it
    del graph.node[:]
    graph.node.extend(copies)
    used = {name for node in graph.node for name in reads(node)} | {output.name for output in graph.output}
    for place in reversed(range(len(graph.initializer))):
        if graph.initializer[place].name not in used:
            del graph.initializer[place]


def put_in_order(model: ModelProto) -> None:
    """Puts the nodes of every graph in an order that they can run in, in place; nodes that stand in one already stay."""
    for graph in graphs(model):
        if not _is_in_order(graph.node):
            replaced = [deepcopy(node) for node in _sorted(graph.node)]
            del graph.node[:]
            graph.node.extend(replaced)


def is_in_order(model: ModelProto) -> bool:
    """Whether the nodes of every graph stand in an order that they can run in."""
    return all(_is_in_order(graph.node) for graph in graphs(model))


def _is_in_order(nodes: Sequence[NodeProto]) -> bool:
    made_by = makers(nodes)
    return all(made_by.get(name, -1) < place for place, node in enumerate(nodes) for name in reads(node))


def _sorted(nodes: Sequence[NodeProto]) -> list[NodeProto]:
    """Returns nodes so that each comes after those it reads from; otherwise in the order they had."""
    made_by = makers(nodes)
    order: list[int] = []
    done: set[int] = set()
    for start in range(len(nodes)):
        ahead = [(start, False)]
        while ahead:
            place, ready = ahead.pop()
            if ready:
                order.append(place)
            elif place not in done:
                done.add(place)
                ahead.append((place, True))
                ahead += [(made_by[name], False) for name in reversed(reads(nodes[place])) if name in made_by]
    return [nodes[place] for place in order]


def graphs_inside(node: NodeProto) -> list[GraphProto]:
    """Returns the graphs in a node's attributes: branches, a loop's body."""
    found: list[GraphProto] = []
    for attribute in node.attribute:
        if attribute.type in HOLD_GRAPHS or not attribute.type:  # for speed; IR version 1 may leave the type out
            found += [attribute.g] if attribute.HasField("g") else []
            found += attribute.graphs
    return found


def _captures(graph: GraphProto) -> list[str]:
    own = set(values_of(graph))
    found = [name for node in graph.node for name in reads(node)] + [output.name for output in graph.output]
    return [name for name in found if name not in own]
