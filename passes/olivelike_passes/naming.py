"""Nodes by name: names for all of them, and the patterns by which users pick some."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


def name_nodes(model: ModelProto) -> None:
    """Gives every node of the main graph a name of its own; names that are unique already stay."""
    taken: set[str] = set()
    for index, node in enumerate(model.graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.name or node.op_type}_{index}"
        taken.add(node.name)


def name_of(node: NodeProto) -> str:
    """Returns a node's name, or that of what it makes first if it has none."""
    return str(node.name or node.output[0])


def matching(model: ModelProto, patterns: Iterable[str]) -> list[str]:
    """Returns the names of the main graph's nodes that match one of the patterns (`*` and `?` as in file names), sorted."""
    return sorted({node.name for node in model.graph.node for pattern in patterns if fnmatchcase(node.name, pattern)})


def unmatched(model: ModelProto, patterns: Iterable[str]) -> list[str]:
    """Returns the patterns that match no node of the main graph."""
    return [pattern for pattern in patterns if not matching(model, [pattern])]
