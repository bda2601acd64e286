"""Which nodes a user asked to quantize: by operator type and by name, in branches and loops too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from olivelike.onnxfile.walk import graphs

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


@dataclass(frozen=True, slots=True)
class Chosen:
    """A choice of nodes.

    Attributes:
        op_types: their types.
        nodes: patterns of names, of which one must match; none lets every name pass.
        exclude_nodes: patterns of names, of which none may match.
    """

    op_types: Sequence[str]
    nodes: Sequence[str] = ()
    exclude_nodes: Sequence[str] = ()

    def has(self, node: NodeProto) -> bool:
        """Whether a node is chosen."""
        named = not self.nodes or _matches(node, self.nodes)
        return node.op_type in self.op_types and named and not _matches(node, self.exclude_nodes)

    def reasons(self, model: ModelProto) -> Iterator[str]:
        """Yields what speaks against the choice: patterns that match no node."""
        every = [node for graph in graphs(model) for node in graph.node]
        for field, patterns in (("nodes", self.nodes), ("exclude_nodes", self.exclude_nodes)):
            for pattern in patterns:
                if not any(_matches(node, [pattern]) for node in every):
                    yield f"{field} has {pattern!r}, which matches no node"


def _matches(node: NodeProto, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(node.name, pattern) for pattern in patterns)
