"""The shapes of a model's values, as far as the model says them or ONNX infers them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from olivelike.onnxfile.inference import inferred
from olivelike.onnxfile.wiring import graphs_inside
from olivelike_passes.surgery.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import GraphProto

    from olivelike_passes.surgery.opened import Opened

Shape: TypeAlias = tuple[int | str, ...]
"""A number for each axis, or its name, empty where it has none; no axes where nothing is known (or a scalar)."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """The shapes of values by the graph that makes them."""

    graphs: Mapping[int, Mapping[str, Shape]]

    def of(self, scope: Scope, name: str) -> Shape:
        """Returns a value's shape as it is known in a graph; no axes where it is not."""
        home = scope.home(name)
        return self.graphs.get(id(home.graph), {}).get(name, ()) if home is not None else ()


def shapes_of(opened: Opened) -> Shapes:
    """Infers the shapes of all values; of weights only the small ones, which may be shapes themselves, are looked into."""
    pairs = _pairs(opened.model.graph, inferred(opened.model, opened.path).graph)
    return Shapes({id(ours): _shapes_in(theirs) for ours, theirs in pairs})


def _pairs(ours: GraphProto, theirs: GraphProto) -> list[tuple[GraphProto, GraphProto]]:
    found = [(ours, theirs)]
    for node, twin in zip(ours.node, theirs.node, strict=True):
        for inner, other in zip(graphs_inside(node), graphs_inside(twin), strict=True):
            found += _pairs(inner, other)
    return found


def _shapes_in(graph: GraphProto) -> dict[str, Shape]:
    found: dict[str, Shape] = {tensor.name: tuple(map(int, tensor.dims)) for tensor in graph.initializer}
    for entry in (*graph.value_info, *graph.input, *graph.output):
        kind = entry.type.tensor_type
        if entry.type.HasField("tensor_type") and kind.HasField("shape"):
            dims = kind.shape.dim
            found[entry.name] = tuple(
                int(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param for dim in dims
            )
    return found
