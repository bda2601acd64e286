"""What ONNX's version converter gets wrong without a word: written so that it comes out right, or refused with the reason."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from olivelike.onnxfile.walk import nodes
from olivelike.onnxfile.wiring import graphs_inside

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

    Shapes = ChainMap[str, tuple[int, ...] | None]

DEFAULT = ("", "ai.onnx")
HIDDEN = "olivelike.hidden"
"""The domain that nodes are in while the converter is to leave them as they are."""
ALONG_ONE_AXIS = 13
"""From this version on a softmax goes along its axis; before, along that one and all behind it."""
NEGATIVE_AXES = 11
SOFTMAXES = ("Softmax", "LogSoftmax", "Hardmax")
CARE = frozenset(SOFTMAXES)


def needs_care(model: ModelProto) -> bool:
    """Whether a model has operators that this module looks at, so that the types of its values are of use to it."""
    return any(node.op_type in CARE and node.domain in DEFAULT for node in nodes(model))


def taken_care_of(model: ModelProto, here: int, target: int) -> list[str]:
    """Writes nodes so that they mean the same in both versions, and hides them from the converter, in place.

    Args:
        model: with the types of its inner values, as far as they can be known.
        here: its version of the default operator set.
        target: the version that it is to be converted to.

    Returns:
        what cannot be converted rightly; empty where the converter may do its work.
    """
    found: list[str] = []
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    for node, shapes in _with_shapes(model.graph, ChainMap(dict[str, tuple[int, ...] | None](weights))):
        if node.domain not in DEFAULT:
            continue
        match node.op_type:
            case "Softmax" | "LogSoftmax" | "Hardmax" if _between(here, target, ALONG_ONE_AXIS):
                found += _last_axis(node, shapes, here, target)
            case _:
                pass
    return found


def _last_axis(node: NodeProto, shapes: Shapes, here: int, target: int) -> list[str]:
    """Hides a softmax along the last axis, which is the same in both versions, with the axis spelled out."""
    import onnx

    if node.op_type != "Hardmax" and target > here:
        return []  # the converter does these rightly
    stated = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), None)
    axis = stated if stated is not None else -1 if here >= ALONG_ONE_AXIS else 1
    shape = shapes.get(node.input[0])
    if axis != -1 and (shape is None or axis not in (len(shape) - 1, -1)):
        of = "an unknown rank" if shape is None else f"rank {len(shape)}"
        return [
            f"{_named(node)} along axis {axis} of {of} means something else there: only along the last axis it does not"
        ]
    if shape is None and target < NEGATIVE_AXES:
        return [f"{_named(node)} is along the last axis of an unknown rank, and axes are not counted from behind there"]
    kept = [attribute for attribute in node.attribute if attribute.name != "axis"]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute("axis", -1 if shape is None else len(shape) - 1)])
    node.domain = HIDDEN
    return []


def _with_shapes(graph: GraphProto, around: Shapes) -> Iterator[tuple[NodeProto, Shapes]]:
    """Yields the nodes of a graph and those inside them, each with the shapes that are known where it stands."""
    own: dict[str, tuple[int, ...] | None] = {name: None for node in graph.node for name in node.output}
    own |= {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    own |= {entry.name: _shape(entry) for entry in (*graph.value_info, *graph.output, *graph.input)}
    shapes = around.new_child(own)
    for node in graph.node:
        yield node, shapes
        for inner in graphs_inside(node):
            yield from _with_shapes(inner, shapes)


def _shape(entry: ValueInfoProto) -> tuple[int, ...] | None:
    """Returns a shape, with 0 for sizes that are not known."""
    held = entry.type.tensor_type
    return tuple(dim.dim_value for dim in held.shape.dim) if held.HasField("shape") else None


def _between(here: int, target: int, version: int) -> bool:
    return min(here, target) < version <= max(here, target)


def _named(node: NodeProto) -> str:
    return f"the {node.op_type} that makes '{node.output[0]}'"
