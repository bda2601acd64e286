"""A model's operators: how many nodes of each, in which version, and whether the installed runtime runs them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from olivelike.contracts.artifact import Artifact
from olivelike.digest import JsonObject
from olivelike.evaluate.sessions.library_operators import held_by
from olivelike.evaluate.sessions.operators import RuntimeOperators, Support
from olivelike.onnxfile.wiring import graphs_inside

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, OperatorSetIdProto

ONNX_DOMAINS = frozenset({"", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training"})

Opsets: TypeAlias = "Mapping[str, int]"
"""The version of each operator set that is imported, by domain."""


class Place(Enum):
    """Where a node stands: in the main graph, in a graph inside a node (`If`, `Loop`), or in a function's body."""

    MAIN = "main"
    SUBGRAPH = "subgraph"
    FUNCTION = "function"


@dataclass(frozen=True, slots=True)
class OperatorUse:
    """An operator of a model.

    Attributes:
        domain: empty for ONNX's own.
        kind: its type.
        since: the opset since which it has the meaning that it has in this model; 0 where the runtime does not know it.
        nodes: how many, by place.
        support: what the runtime has for it.
        provider: whose kernel runs it; empty where it is no single one's.
    """

    domain: str
    kind: str
    since: int
    nodes: Mapping[Place, int]
    support: Support
    provider: str

    @property
    def count(self) -> int:
        """The number of nodes in all places."""
        return sum(self.nodes.values())

    @property
    def name(self) -> str:
        """Its type, behind its domain where that is not ONNX's own."""
        return f"{self.domain}.{self.kind}" if self.domain else self.kind

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {
            "domain": self.domain,
            "op_type": self.kind,
            "since_version": self.since or None,
            "nodes": {place.value: self.nodes.get(place, 0) for place in Place},
            "runtime": self.support.value,
            "provider": self.provider,
        }


@dataclass(frozen=True, slots=True)
class Function:
    """A function that a model brings along: how many nodes it is made of, and how many nodes call it."""

    domain: str
    name: str
    nodes: int
    calls: int

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {"domain": self.domain, "name": self.name, "nodes": self.nodes, "calls": self.calls}


def opsets(imports: Iterable[OperatorSetIdProto]) -> dict[str, int]:
    """Returns what is imported of each domain; of an import that is repeated the highest version."""
    found: dict[str, int] = {}
    for entry in imports:
        domain = _plain(entry.domain)
        found[domain] = max(found.get(domain, 0), entry.version)
    return found


def operators(model: ModelProto, runtime: RuntimeOperators, provider: str) -> tuple[OperatorUse, ...]:
    """Returns the operators of a model, the most frequent first.

    Args:
        model: its structure.
        runtime: what the installed runtime offers.
        provider: the provider that should run them, by its full name.
    """
    local = {(_plain(function.domain), function.name) for function in model.functions}
    counts: dict[tuple[str, str, int], Counter[Place]] = defaultdict(Counter)
    for place, imported, node in _placed(model):
        domain = _plain(node.domain)
        counts[domain, node.op_type, imported.get(domain, 0)][place] += 1
    uses: dict[tuple[str, str, int], OperatorUse] = {}
    for (domain, kind, opset), nodes in counts.items():
        use = _use(domain, kind, opset, nodes, local, runtime, provider)
        before = uses.get((domain, kind, use.since))
        uses[domain, kind, use.since] = use if before is None else _joined(before, use)
    return tuple(sorted(uses.values(), key=lambda use: (-use.count, use.domain, use.kind, use.since)))


def with_libraries(
    uses: tuple[OperatorUse, ...], imported: Opsets, libraries: Sequence[Artifact]
) -> tuple[OperatorUse, ...]:
    """Returns the operators of a model, those that the runtime does not know and the libraries have marked as such.

    Raises:
        MeasureError: OL504, a library cannot be loaded.
    """
    asked = [(use.domain, use.kind) for use in uses if use.support is Support.UNKNOWN] if libraries else []
    having = held_by(libraries, {operator: imported.get(operator[0], 1) for operator in asked})
    return tuple(replace(use, support=Support.LIBRARY) if (use.domain, use.kind) in having else use for use in uses)


def functions(model: ModelProto) -> tuple[Function, ...]:
    """Returns the functions that a model brings along, in its order."""
    calls = Counter((_plain(node.domain), node.op_type) for _, _, node in _placed(model))
    return tuple(
        Function(f.domain, f.name, sum(1 for _ in _every(f.node)), calls[_plain(f.domain), f.name])
        for f in model.functions
    )


def custom_operators(model: ModelProto, uses: Iterable[OperatorUse], runtime: RuntimeOperators) -> tuple[str, ...]:
    """Returns the operators that need a library that is not named: of domains not ONNX's, the runtime's or the model's."""
    known = ONNX_DOMAINS | runtime.domains | {_plain(function.domain) for function in model.functions}
    return tuple(use.name for use in uses if use.domain not in known and use.support is not Support.LIBRARY)


def _use(
    domain: str,
    kind: str,
    opset: int,
    nodes: Mapping[Place, int],
    local: set[tuple[str, str]],
    runtime: RuntimeOperators,
    provider: str,
) -> OperatorUse:
    since = runtime.since((domain, kind), opset)
    if (domain, kind) in local:
        return OperatorUse(domain, kind, since, nodes, Support.FUNCTION, "")
    support, where = runtime.support((domain, kind), since, provider)
    return OperatorUse(domain, kind, since, nodes, support, where)


def _joined(one: OperatorUse, other: OperatorUse) -> OperatorUse:
    nodes = Counter(one.nodes)
    nodes.update(other.nodes)
    return OperatorUse(one.domain, one.kind, one.since, nodes, one.support, one.provider)


def _placed(model: ModelProto) -> Iterator[tuple[Place, Opsets, NodeProto]]:
    """Yields every node with where it stands and the opsets that hold there."""
    imported = opsets(model.opset_import)
    for node in model.graph.node:
        yield Place.MAIN, imported, node
        for graph in graphs_inside(node):
            for inner in _every(graph.node):
                yield Place.SUBGRAPH, imported, inner
    for function in model.functions:
        own = {**imported, **opsets(function.opset_import)}
        for node in _every(function.node):
            yield Place.FUNCTION, own, node


def _every(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """Yields nodes and those of the graphs inside them."""
    for node in nodes:
        yield node
        for graph in graphs_inside(node):
            yield from _every(graph.node)


def _plain(domain: str) -> str:
    """Returns a domain by its one name: `ai.onnx` is another name of ONNX's own."""
    return "" if domain == "ai.onnx" else domain
