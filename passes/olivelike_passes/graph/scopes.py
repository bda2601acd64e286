"""The names of values and where they hold: which there are, which are free, and how one makes way for another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from olivelike.onnxfile.wiring import graphs_inside, reads, rename_values

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto


def values_of(graph: GraphProto) -> list[str]:
    """Returns the names of the values that a graph has itself: given, held or made; each once, in that order."""
    found = [entry.name for entry in graph.input] + [tensor.name for tensor in graph.initializer]
    found += [sparse.values.name for sparse in graph.sparse_initializer]
    return list(dict.fromkeys(found + [name for node in graph.node for name in node.output if name]))


def inner_graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """Yields the graphs inside a graph's nodes, and those inside them."""
    for node in graph.node:
        for inner in graphs_inside(node):
            yield inner
            yield from inner_graphs(inner)


def all_values(model: ModelProto) -> set[str]:
    """Returns every name that a value has or is read by, in the main graph and in those inside it."""
    found = {name for graph in (model.graph, *inner_graphs(model.graph)) for name in values_of(graph)}
    return found | {name for node in model.graph.node for name in reads(node)}


def fresh(name: str, taken: Collection[str]) -> str:
    """Returns this name, or one made from it, that is not taken."""
    return next(candidate for candidate in _numbered(name) if candidate not in taken)


def make_way(model: ModelProto, wanted: Iterable[str], keeping: Collection[str]) -> dict[str, str]:
    """Frees names: gives values of the graphs inside nodes others, in place, and says which the main graph's need.

    Args:
        model: the model.
        wanted: the names to free.
        keeping: values of the main graph that are seen to already.

    Returns:
        For each value of the main graph that stands in the way, a free name for it.
    """
    names, kept = set(wanted), set(keeping)
    taken = all_values(model) | names
    for graph in inner_graphs(model.graph):
        renamed = _others(sorted(names.intersection(values_of(graph))), taken)
        if renamed:
            rename_values(graph, renamed)
    return _others([name for name in values_of(model.graph) if name in names and name not in kept], taken)


def _others(names: Iterable[str], taken: set[str]) -> dict[str, str]:
    found = {}
    for name in names:
        found[name] = fresh(name, taken)
        taken.add(found[name])
    return found


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 1
    while True:
        yield f"{name}_{number}"
        number += 1
