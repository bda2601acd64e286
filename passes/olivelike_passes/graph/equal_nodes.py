"""Nodes that compute the same from the same: the first stays, what reads the others reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Hashable, Mapping, MutableSequence
from copy import deepcopy
from typing import TYPE_CHECKING

from olivelike.onnxfile.wiring import graphs_inside, rename_reads

if TYPE_CHECKING:
    from onnx import AttributeProto, NodeProto

KNOWN_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
DRAWING = frozenset({
    "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
})  # fmt: skip
"""Operators of ONNX that give something else each time."""
TRAINING_INPUT = 2


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
        if not is_deterministic(node):
            continue
        earlier = first.setdefault(_key(node), node)
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


def is_deterministic(node: NodeProto) -> bool:
    """Whether a node is known to give the same each time, with all that is in its branches and loops."""
    if node.domain not in KNOWN_DOMAINS or node.op_type in DRAWING:
        return False
    if node.op_type == "Dropout" and len(node.input) > TRAINING_INPUT and node.input[TRAINING_INPUT]:
        return False
    return all(is_deterministic(inner) for graph in graphs_inside(node) for inner in graph.node)


def _key(node: NodeProto) -> Hashable:
    attributes = sorted((attribute.name, _digest(attribute)) for attribute in node.attribute)
    outputs = tuple(map(bool, node.output))
    return node.domain, node.op_type, tuple(node.input), outputs, tuple(attributes)


def _digest(attribute: AttributeProto) -> bytes:
    bare = deepcopy(attribute)
    bare.ClearField("doc_string")
    if bare.HasField("t"):
        bare.t.ClearField("name")
        bare.t.ClearField("doc_string")
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).digest()


def _rename(nodes: MutableSequence[NodeProto], names: Mapping[str, str]) -> None:
    mapping = dict(names)
    for node in nodes:
        for place, name in enumerate(node.output):
            node.output[place] = mapping.get(name, name)
        rename_reads(node, mapping)
