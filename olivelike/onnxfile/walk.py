"""Walk over a model: every graph (main, in nodes' attributes, in functions), every node, every tensor that holds values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

HOLD_GRAPHS = (5, 10)
"""The attribute types GRAPH and GRAPHS, as `AttributeProto.AttributeType` counts them."""


def graphs(model: ModelProto) -> Iterator[GraphProto]:
    """Yields the main graph and every graph inside a node (`If`, `Loop`, `Scan`), those of functions and training too."""
    roots = [model.graph]
    for training in model.training_info:
        roots += [training.initialization, training.algorithm]
    for graph in roots:
        yield graph
        yield from _graphs_inside(graph.node)
    for function in model.functions:
        yield from _graphs_inside(function.node)


def nodes(model: ModelProto) -> Iterator[NodeProto]:
    """Yields every node: of all graphs, then of the functions' bodies."""
    for graph in graphs(model):
        yield from graph.node
    for function in model.functions:
        yield from function.node


def initializers(model: ModelProto) -> Iterator[TensorProto]:
    """Yields the dense initializers of all graphs."""
    for graph in graphs(model):
        yield from graph.initializer


def other_tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Yields the other tensors that hold values: both halves of sparse initializers, and attributes (`Constant`)."""
    for graph in graphs(model):
        for sparse in graph.sparse_initializer:
            yield sparse.values
            yield sparse.indices
    for node in nodes(model):
        yield from _tensors_of(node)


def tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Yields every tensor that holds values."""
    yield from initializers(model)
    yield from other_tensors(model)


def _graphs_inside(nodes: Iterable[NodeProto]) -> Iterator[GraphProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.type not in HOLD_GRAPHS and attribute.type:
                continue  # for speed; files of IR version 1 may leave the type out
            inner = [attribute.g] if attribute.HasField("g") else []
            for graph in (*inner, *attribute.graphs):
                yield graph
                yield from _graphs_inside(graph.node)


def _tensors_of(node: NodeProto) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        inner = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
        for sparse in (*inner, *attribute.sparse_tensors):
            yield sparse.values
            yield sparse.indices
