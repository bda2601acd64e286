"""Nodes that compute the same from the same: the first stays, what reads the others reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Hashable, Mapping, MutableSequence
from copy import deepcopy
from typing import TYPE_CHECKING

from olivelike.onnxfile.repeatable import is_repeatable
from olivelike.onnxfile.wiring import rename_reads

if TYPE_CHECKING:
    from onnx import AttributeProto, NodeProto


LONGEST = 64
"""Bytes up to which an attribute is held as it is; of longer ones the digest."""


def merge_equal_nodes(nodes: MutableSequence[NodeProto], ends: Collection[str]) -> dict[str, str]:
    """Takes out nodes that repeat an earlier one, in place.

    Args:
        nodes: of one graph or function, in an order that they can run in.
        ends: the names of values that the graph gives, which stay; where two of equal nodes are, both nodes do.

    Returns:
        For each value that is no more, the one that stands for it.
    """
    first: dict[Hashable, NodeProto] = {}
    aliases: dict[str, str] = {}
    labels: dict[str, str] = {}
    repeated: list[int] = []
    for place, node in enumerate(nodes):
        rename_reads(node, aliases)
        if not is_repeatable(node):
            continue
        earlier = first.setdefault(key_of(node), node)
        if earlier is node:
            continue
        pairs = [(old, new) for old, new in zip(node.output, earlier.output, strict=True) if old]
        ending = {new: old for old, new in pairs if old in ends}
        aliases.update(pairs)
        if not any(new in ends or new in labels for new in ending):
            labels.update(ending)
            repeated.append(place)
    for place in reversed(repeated):
        del nodes[place]
    _rename(nodes, labels)
    gone = {old: labels.get(new, new) for old, new in aliases.items()}
    return {old: new for old, new in {**gone, **labels}.items() if old not in ends}


def key_of(node: NodeProto) -> Hashable:
    """Returns what a node has in common with those that are equal to it: operator, inputs, attributes, which outputs it has."""
    attributes = sorted((attribute.name, _content(attribute)) for attribute in node.attribute)
    return node.domain, node.op_type, tuple(node.input), tuple(map(bool, node.output)), tuple(attributes)


def _content(attribute: AttributeProto) -> bytes:
    if attribute.doc_string or attribute.HasField("t"):
        attribute = deepcopy(attribute)
        attribute.ClearField("doc_string")
        if attribute.HasField("t"):
            attribute.t.ClearField("name")
            attribute.t.ClearField("doc_string")
    content = attribute.SerializeToString(deterministic=True)
    return content if len(content) <= LONGEST else hashlib.sha256(content).digest()


def _rename(nodes: MutableSequence[NodeProto], names: Mapping[str, str]) -> None:
    mapping = dict(names)
    for node in nodes:
        for place, name in enumerate(node.output):
            node.output[place] = mapping.get(name, name)
        rename_reads(node, mapping)
