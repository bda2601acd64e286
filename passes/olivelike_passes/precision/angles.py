"""Angles: what leads to nothing but sines and cosines, and loses its meaning in few bits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from olivelike.onnxfile.wiring import graphs_inside, reads
from olivelike_passes.precision.definitions import OWN

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

LARGE = 4096
"""Elements from which on a weight is no table of frequencies."""


def before_angles(graph: GraphProto) -> set[str]:
    """Returns the first outputs of the nodes whose values lead to nothing but a sine or cosine, and of those nodes.

    The angles of rotary position embeddings are positions times frequencies: with 11 bits, position 1000 is off by half a
    radian. Nodes with a large weight do not count: a network whose activations are sines stays narrow.
    """
    takers: dict[str, list[str]] = {}
    for node in graph.node:
        for name in reads(node):
            takers.setdefault(name, []).append(first_output(node))
    large = {tensor.name for tensor in graph.initializer if math.prod(tensor.dims) >= LARGE}
    ends = {entry.name for entry in graph.output}
    found = {first_output(node) for node in graph.node if node.op_type in ("Sin", "Cos") and node.domain in OWN}
    for node in reversed(graph.node):
        taken = [taker for name in node.output for taker in takers.get(name, ())]
        plain = not graphs_inside(node) and large.isdisjoint(node.input) and ends.isdisjoint(node.output)
        if taken and plain and found.issuperset(taken):
            found.add(first_output(node))
    return found


def first_output(node: NodeProto) -> str:
    """Returns the first output of a node that has a name; empty where none has."""
    return next(filter(None, node.output), "")
