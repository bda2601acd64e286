"""ONNX's operators from version to version: whether one means the same in two of them, and what the older does not know."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator
from typing import TYPE_CHECKING

from olivelike.onnxfile.wiring import graphs_inside

if TYPE_CHECKING:
    from onnx import AttributeProto, FunctionProto, NodeProto
    from onnx.defs import OpSchema

OLDEST_OF_TYPES_ONLY = 11
"""Below it operators of one form meant less: no negative axes, no negative indices."""
MEANT_OTHERWISE = frozenset({"GridSample", "GroupNormalization", "Resize", "RoiAlign"})
"""Operators of which one form meant different things (ONNX, Changelog.md)."""
QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
PER_AXIS = 13


def is_same_operator(kind: str, domain: str, written_for: int, read_as: int) -> bool:
    """Whether an operator that was written for one version of its domain means the same read as another.

    It does where its definition is one and the same, or a later one that only takes more types: attributes, their defaults,
    and the number of inputs and outputs are as they were. Those of domains that ONNX does not know count as changed.

    Example:
        >>> is_same_operator("Relu", "", 11, 17), is_same_operator("Softmax", "", 11, 17), is_same_operator("Relu", "", 17, 11)
        (True, False, False)
    """
    import onnx

    try:
        before, after = (onnx.defs.get_schema(kind, version, domain) for version in (written_for, read_as))
    except onnx.defs.SchemaError:
        return False
    if before.since_version == after.since_version:
        return True
    return written_for < read_as and _form(before) == _form(after)


def is_same_further_down(node: NodeProto, here: int, below: int) -> bool:
    """Whether a node of ONNX's default domain means the same in an older version of it, as it stands.

    It does where the older definition only took fewer types, or had not yet an attribute that the node does not set. Whether
    the types that the node has are among them is for type inference to say.
    """
    import onnx

    try:
        now, then = (onnx.defs.get_schema(node.op_type, version, "") for version in (here, below))
    except onnx.defs.SchemaError:
        return False
    if now.since_version == then.since_version:
        return True
    if below < OLDEST_OF_TYPES_ONLY or node.op_type in MEANT_OTHERWISE or _rounds_up(node):
        return False
    if node.op_type in QUANTIZERS and below < PER_AXIS:
        return False
    unset = {name for name in now.attributes if name not in then.attributes} - {each.name for each in node.attribute}
    return _form(now, unset) == _form(then)


def drop_newer_defaults(node: NodeProto, here: int, below: int) -> None:
    """Takes off a node of ONNX's default domain the attributes that an older version lacks, where they say the usual."""
    import onnx

    try:
        now, then = (onnx.defs.get_schema(node.op_type, version, "") for version in (here, below))
    except onnx.defs.SchemaError:
        return
    for place, attribute in reversed(list(enumerate(node.attribute))):
        usual = now.attributes[attribute.name].default_value if attribute.name in now.attributes else None
        if attribute.name not in then.attributes and usual is not None and _value(usual) == _value(attribute):
            del node.attribute[place]


def newer_attributes(node: NodeProto, version: int) -> list[str]:
    """Returns the attributes of a node of ONNX's default domain that a version of it does not know."""
    import onnx

    try:
        known = onnx.defs.get_schema(node.op_type, version, "").attributes
    except onnx.defs.SchemaError:
        return []
    return [attribute.name for attribute in node.attribute if attribute.name not in known]


def function_nodes(function: FunctionProto) -> Iterator[NodeProto]:
    """Yields the nodes of a function, those in its branches and loops too."""
    return _with_inner(function.node)


def _with_inner(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    for node in nodes:
        yield node
        for graph in graphs_inside(node):
            yield from _with_inner(graph.node)


def _value(attribute: AttributeProto) -> bytes:
    bare = type(attribute)()
    bare.CopyFrom(attribute)
    bare.ClearField("doc_string")
    bare.ClearField("name")
    return bytes(bare.SerializeToString(deterministic=True))


def _rounds_up(node: NodeProto) -> bool:
    """Whether a pooling operator does what versions disagree about: windows that begin in the padding at the end."""
    return any(attribute.name == "ceil_mode" and attribute.i for attribute in node.attribute)


def _form(schema: OpSchema, without: Collection[str] = ()) -> Hashable:
    attributes = sorted(
        (name, str(each.type), each.required, each.default_value.SerializeToString(deterministic=True))
        for name, each in schema.attributes.items()
        if name not in without
    )
    ends = (*schema.inputs, *schema.outputs)
    return tuple(attributes), len(schema.inputs), tuple((str(each.option), each.min_arity) for each in ends)
