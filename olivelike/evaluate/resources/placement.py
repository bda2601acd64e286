"""The metric `placement`: how many of a model's nodes do not run on the target's first execution provider."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Cost, MeasureContext, Metric, MetricConfig, ValueSpec
from olivelike.contracts.outcome import Measurement, Undefined, Value
from olivelike.digest import Json
from olivelike.evaluate.sessions.runtime_errors import explained
from olivelike.evaluate.sessions.session import RuntimeSession, open_session

RECORD = {"session.record_ep_graph_assignment_info": "1"}
NODE_BY_NODE = frozenset(
    {
        "CPUExecutionProvider",
        "CUDAExecutionProvider",
        "ROCMExecutionProvider",
        "JsExecutionProvider",
        "WebGpuExecutionProvider",
        "DmlExecutionProvider",
    }
)
"""Providers that are given single nodes, each with a kernel of its own; the others compile whole subgraphs."""
MOST_NAMED = 100
MOST_SAID = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the graph that the runtime gave to one provider: name and operator type of each node."""

    provider: str
    nodes: tuple[tuple[str, str], ...]


class PlacementConfig(MetricConfig):
    """`placement` has no options."""


class Placement(Metric[PlacementConfig]):
    """Which node runs where, from the runtime's own record of the session that it created on the target.

    A provider that does not take a node leaves it to the CPU, and ONNX Runtime says nothing: the model is right and slow.
    `nodes_off_target` counts the nodes that are not on the first provider of the target; `at_most 0` forbids it.
    `partitions` counts the pieces of the graph on the first provider: more than one means that data go back and forth. For a
    provider that runs node by node (CPU, CUDA, DirectML, ...) it is 1 where it has every node, 0 where it has none, and
    undefined in between, because the record does not say which nodes are neighbours. `nodes` counts all.

    Nodes are those after the runtime's basic optimizations, with the names that it gives them then.
    """

    name = "placement"
    config = PlacementConfig
    cost = Cost.RUNS

    def values(self, config: PlacementConfig) -> tuple[ValueSpec, ...]:
        """Returns `nodes_off_target`, `partitions` and `nodes`; lower is better."""
        del config
        return tuple(ValueSpec(name, "nodes" if "nodes" in name else "partitions", "lower") for name in NAMES)

    def measure(
        self, candidate: Artifact, reference: Artifact, config: PlacementConfig, context: MeasureContext
    ) -> Mapping[str, Value]:
        """Loads the candidate and reads the record.

        Raises:
            InputError: OL210, a provider that the runtime does not offer or that does not start.
            MeasureError: OL504, the model cannot be loaded, or the runtime is too old to keep a record.
        """
        del reference, config
        recorded = replace(candidate.manifest, session={**candidate.manifest.session, **RECORD})
        session = open_session(replace(candidate, manifest=recorded), context.target)
        return placed(_pieces(session), context.target.providers[0].name)


NAMES = ("nodes_off_target", "partitions", "nodes")


def placed(pieces: Sequence[Piece], wanted: str) -> Mapping[str, Value]:
    """Returns the values of a record.

    Args:
        pieces: the record.
        wanted: the provider that should have every node.
    """
    off = [(*node, piece.provider) for piece in pieces if piece.provider != wanted for node in piece.nodes]
    total = sum(len(piece.nodes) for piece in pieces)
    details: dict[str, Json] = {
        "provider": wanted,
        "nodes_by_provider": dict(Counter(piece.provider for piece in pieces for _ in piece.nodes)),
        "off_target": [{"name": n, "op_type": op, "provider": where} for n, op, where in off[:MOST_NAMED]],
    }
    if off:
        details["because"] = _because(off, total)
    return {
        "nodes_off_target": _count(len(off), "nodes", details),
        "partitions": _partitions([piece for piece in pieces if piece.provider == wanted], wanted, len(off), details),
        "nodes": _count(total, "nodes", {}),
    }


def _partitions(own: Sequence[Piece], wanted: str, off: int, details: Mapping[str, Json]) -> Value:
    if wanted not in NODE_BY_NODE:
        return _count(len(own), "partitions", details)
    if own and off:
        reason = f"{wanted} runs node by node: the runtime's record does not say into how many pieces {off} nodes elsewhere cut it"
        return Undefined(reason)
    return _count(1 if own else 0, "partitions", details)


def _count(count: int, unit: str, details: Mapping[str, Json]) -> Measurement:
    return replace(Measurement.exact(count, unit, "lower"), details=details)


def _because(off: Sequence[tuple[str, str, str]], total: int) -> str:
    providers = ", ".join(dict.fromkeys(where for *_, where in off))
    named = ", ".join(f"{op} {name!r}" for name, op, _ in off[:MOST_SAID])
    more = f" and {len(off) - MOST_SAID} more" if len(off) > MOST_SAID else ""
    return f"{len(off)} of {total} nodes run on {providers}: {named}{more}"


def _pieces(session: RuntimeSession) -> list[Piece]:
    with explained("the runtime keeps no record of where nodes run", "it takes onnxruntime 1.24 or later"):
        record = session.runtime.get_provider_graph_assignment_info()
    return [Piece(piece.ep_name, tuple((n.name, n.op_type) for n in piece.get_nodes())) for piece in record]
