"""Graphs inside graphs: which there are, and how the names of their values make way for others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from olivelike.onnxfile.names import Names, all_names, values_of
from olivelike.onnxfile.wiring import graphs_inside, rename_values

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto


def inner_graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """Yields the graphs inside a graph's nodes, and those inside them."""
    for node in graph.node:
        for inner in graphs_inside(node):
            yield inner
            yield from inner_graphs(inner)


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
    free = Names(all_names(model) | names)
    for graph in inner_graphs(model.graph):
        renamed = {name: free.numbered(name) for name in sorted(names.intersection(values_of(graph)))}
        if renamed:
            rename_values(graph, renamed)
    return {name: free.numbered(name) for name in values_of(model.graph) if name in names and name not in kept}
