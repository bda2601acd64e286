"""What ONNX's version converter gets wrong without a word: written so that it comes out right, or refused with the reason."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from olivelike.onnxfile.walk import graphs, nodes
from olivelike.onnxfile.wiring import graphs_inside
from olivelike_passes.weights import replaceable_weights

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

    Shapes = ChainMap[str, tuple[int, ...] | None]

DEFAULT = ("", "ai.onnx")
HIDDEN = "olivelike.hidden"
"""The domain that nodes are in while the converter is to leave them as they are."""
ALONG_ONE_AXIS = 13
"""From this version on a softmax goes along its axis; before, along that one and all behind it."""
NEGATIVE_AXES = 11
WHERE_PIXELS_LIE = 11
"""From this version on `Resize` says where pixels lie, and takes other places than before where it does not say."""
RESIZE_CAME = 10
SCALES_OF_CHANNELS = 21
"""From this version on `GroupNormalization` has a scale per channel; before, one per group."""
MASKS = (10, 12)
"""Versions in which the mask of `Dropout` became another: of another type, of another meaning (ONNX, Changelog.md)."""
SOFTMAXES = ("Softmax", "LogSoftmax", "Hardmax")
CARE = frozenset((*SOFTMAXES, "Dropout", "GroupNormalization", "Resize"))


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
    found = []
    if target < here:
        found += list(_weights_to_attributes(model, here, target))
    read = {name for node in nodes(model) for name in node.input} | {o.name for g in graphs(model) for o in g.output}
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    for node, shapes in _with_shapes(model.graph, ChainMap(dict[str, tuple[int, ...] | None](weights))):
        if node.domain not in DEFAULT:
            continue
        match node.op_type:
            case "Softmax" | "LogSoftmax" | "Hardmax" if _between(here, target, ALONG_ONE_AXIS):
                found += _last_axis(node, shapes, here, target)
            case "GroupNormalization" if _between(here, target, SCALES_OF_CHANNELS):
                found += _one_channel_a_group(node, shapes, here, target)
            case "Dropout" if any(_between(here, target, version) for version in MASKS):
                if len(node.output) > 1 and node.output[1] and node.output[1] in read:
                    found.append(
                        f"the mask of {_named(node)} means something else there, and '{node.output[1]}' is read"
                    )
            case "Resize" if here == RESIZE_CAME and target > here and _mode(node) == "nearest":
                if _nearest(_scales(model, node)) is None:
                    found.append(
                        f"where {_named(node)} takes its pixels from cannot be said there: scales {node.input[1]}"
                    )
            case _:
                pass
    return found


def say_where_pixels_lie(model: ModelProto) -> None:
    """Gives each `Resize` of a model of version 10 the attributes by which later versions do the same, in place.

    The old ones have no attribute for it: pixels lie at multiples of the scale, and the nearest one is that before; where the
    image becomes smaller, that behind (the reference outputs of the operator's tests for version 10, and ONNX Runtime).
    """
    import onnx

    for node in nodes(model):
        if node.op_type == "Resize" and node.domain in DEFAULT:
            node.attribute.append(onnx.helper.make_attribute("coordinate_transformation_mode", "asymmetric"))
            if _mode(node) == "nearest":
                mode = (
                    _nearest(_scales(model, node)) or "floor"
                )  # scales that nobody knows are those of Upsample, above 1
                node.attribute.append(onnx.helper.make_attribute("nearest_mode", mode))


def has_old_resize(model: ModelProto, here: int, target: int) -> bool:
    """Whether a model has `Resize` or `Upsample` of the old meaning, and is to be converted to the new one."""
    crosses = here < WHERE_PIXELS_LIE <= target
    return crosses and any(node.op_type in ("Resize", "Upsample") and node.domain in DEFAULT for node in nodes(model))


def _weights_to_attributes(model: ModelProto, here: int, target: int) -> Iterator[str]:
    """Yields what reads a weight that may be replaced where the older version has an attribute, which may not."""
    import onnx

    replaceable = replaceable_weights(model)
    for node in nodes(model):
        if node.domain not in DEFAULT or not replaceable.intersection(node.input):
            continue
        try:
            now, then = (onnx.defs.get_schema(node.op_type, version, "") for version in (here, target))
        except onnx.defs.SchemaError:
            continue  # the converter says so
        for name in node.input[then.max_input :]:
            if now.since_version != then.since_version and name in replaceable:
                why = f"{_named(node)} has an attribute there for its input '{name}', which is an input of the model as well"
                yield f"{why}, so it may be replaced: put `simplify: {{fix_weights: true}}` before it"


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


def _one_channel_a_group(node: NodeProto, shapes: Shapes, here: int, target: int) -> list[str]:
    """Hides a group normalization of as many groups as channels: a scale per group is one per channel."""
    if target < here:
        return [f"{_named(node)} is deprecated there, because it has a scale per group"]
    groups = next((attribute.i for attribute in node.attribute if attribute.name == "num_groups"), 0)
    shape = shapes.get(node.input[0])
    if shape is None or len(shape) < 2 or shape[1] != groups:
        return [f"{_named(node)} has a scale per channel there, and one per group here"]
    node.domain = HIDDEN
    return []


def _mode(node: NodeProto) -> str:
    return next((attribute.s.decode() for attribute in node.attribute if attribute.name == "mode"), "nearest")


def _nearest(scales: list[float] | None) -> str | None:
    """Returns the rounding of version 11 and later that is the old one; none where there is none, or scales are not known."""
    if scales is None or (min(scales) < 1 and max(scales) > 1):
        return None
    return "ceil" if min(scales) < 1 else "floor"


def _scales(model: ModelProto, node: NodeProto) -> list[float] | None:
    """Returns the scales of a `Resize` of version 10, where they are one constant; a name may be made in several graphs."""
    from onnx import numpy_helper

    name = node.input[1]
    found = [tensor for graph in graphs(model) for tensor in graph.initializer if tensor.name == name]
    made = [each for each in nodes(model) if name in each.output]
    found += [a.t for each in made if each.op_type == "Constant" for a in each.attribute if a.name == "value"]
    known = len(found) == 1 and len(made) <= 1 and name not in replaceable_weights(model)
    return [float(scale) for scale in numpy_helper.to_array(found[0]).reshape(-1)] if known else None


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
