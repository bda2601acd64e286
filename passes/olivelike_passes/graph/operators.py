"""ONNX's operators from version to version: whether one means the same in two of them; those of a function."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import TYPE_CHECKING

from olivelike.onnxfile.wiring import graphs_inside

if TYPE_CHECKING:
    from onnx import FunctionProto, NodeProto
    from onnx.defs import OpSchema


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


def function_nodes(function: FunctionProto) -> Iterator[NodeProto]:
    """Yields the nodes of a function, those in its branches and loops too."""
    return _with_inner(function.node)


def _with_inner(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    for node in nodes:
        yield node
        for graph in graphs_inside(node):
            yield from _with_inner(graph.node)


def _form(schema: OpSchema) -> Hashable:
    attributes = sorted(
        (name, str(each.type), each.required, each.default_value.SerializeToString(deterministic=True))
        for name, each in schema.attributes.items()
    )
    ends = (*schema.inputs, *schema.outputs)
    return tuple(attributes), len(schema.inputs), tuple((str(each.option), each.min_arity) for each in ends)
