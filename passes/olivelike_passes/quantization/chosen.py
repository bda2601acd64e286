"""Which nodes a user asked to quantize: by operator type and by name, in branches and loops too."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import Auxiliary
from olivelike.onnxfile.walk import graphs
from olivelike_passes.quantization.sensitivity import Sensitivity, SensitivityConfig, most_sensitive

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


@dataclass(frozen=True, slots=True)
class Chosen:
    """A choice of nodes.

    Attributes:
        op_types: their types.
        nodes: patterns of names, of which one must match; none lets every name pass.
        exclude_nodes: patterns of names, of which none may match.
        kept: names of nodes that are left out as they are, each its own or, for one without, its first output's.
    """

    op_types: Sequence[str]
    nodes: Sequence[str] = ()
    exclude_nodes: Sequence[str] = ()
    kept: Sequence[str] = ()

    def has(self, node: NodeProto) -> bool:
        """Whether a node is chosen."""
        named = not self.nodes or _matches(node, self.nodes)
        if node.name in self.kept or any(name in self.kept for name in node.output[:1]):
            return False
        return node.op_type in self.op_types and named and not _matches(node, self.exclude_nodes)

    def reasons(self, model: ModelProto) -> Iterator[str]:
        """Yields what speaks against the choice: patterns that match no node."""
        every = [node for graph in graphs(model) for node in graph.node]
        for field, patterns in (("nodes", self.nodes), ("exclude_nodes", self.exclude_nodes)):
            for pattern in patterns:
                if not any(_matches(node, [pattern]) for node in every):
                    yield f"{field} has {pattern!r}, which matches no node"


def sensitivity_needed(k: int, data: str, samples: int = 0) -> Mapping[str, Auxiliary]:
    """Returns the auxiliary step by which the k most sensitive layers are known; none for none of them."""
    if not k:
        return {}
    settings = SensitivityConfig(data=data, samples=samples)
    return {"sensitivity": Auxiliary(Sensitivity.name, settings.model_dump(mode="json"))}


def kept_of(
    needed: Mapping[str, Artifact], k: int, nodes: Iterable[NodeProto], *, per_channel: bool
) -> tuple[str, ...]:
    """Returns the names of the k layers that lose most in 8 bits, of the nodes that would be quantized: others stay anyway."""
    if not k:
        return ()
    names = {name for node in nodes for name in (node.name, *node.output[:1])}
    ranked = most_sensitive(needed["sensitivity"], "int8_per_channel" if per_channel else "int8", sys.maxsize)
    return tuple(name for name in ranked if name in names)[:k]


def _matches(node: NodeProto, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(node.name, pattern) for pattern in patterns)
