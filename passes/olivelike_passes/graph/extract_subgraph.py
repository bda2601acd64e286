"""The pass `extract_subgraph`: a piece of a model as a model of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.errors import nearest
from olivelike.onnxfile.read import signature_of
from olivelike.onnxfile.wiring import leading_to, makers, reads
from olivelike_passes.graph.cutting import cut_out, needs, weight_names
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.graph.value_types import ValueTypes
from olivelike_passes.naming import matching, unmatched

if TYPE_CHECKING:
    from onnx import ModelProto


class ExtractSubgraphConfig(PassConfig):
    """Which piece `extract_subgraph` takes: between values, or some nodes by name."""

    inputs: tuple[str, ...] = Field(default=(), examples=[["image"]])
    """Values at which the piece begins, in the order its inputs shall have; a weight may be one and is then an input.
    Empty: the model's own inputs, as far as they are needed."""
    outputs: tuple[str, ...] = Field(default=(), examples=[["features"]])
    """Values at which it ends, in order. Empty: the model's own outputs."""
    nodes: tuple[str, ...] = Field(default=(), examples=[["/encoder/*"]])
    """Instead: the names of the nodes it consists of, as patterns (`*`, `?`). What they read from others are its inputs, what
    others read of them its outputs."""

    @model_validator(mode="after")
    def _check(self) -> ExtractSubgraphConfig:
        if bool(self.nodes) == bool(self.inputs or self.outputs):
            raise ValueError("name values (`inputs`, `outputs`) or `nodes`, one of both")
        if repeated := {name for names in (self.inputs, self.outputs) for name in names if names.count(name) > 1}:
            raise ValueError(f"named twice: {', '.join(sorted(repeated))}")
        return self


@dataclass(frozen=True, slots=True)
class _Piece:
    """A choice of nodes with the values at its edge, or the reasons why there is none."""

    places: Sequence[int] = ()
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    reasons: Sequence[str] = ()


class ExtractSubgraph(GraphPass[ExtractSubgraphConfig]):
    """Takes a piece out of a model, as a model of its own.

    What it does:
        Keeps the nodes that lead from the named inputs to the named outputs, or the nodes of the given names, with the weights
        and functions that they use; everything else goes. Values that become inputs or outputs get their types and shapes
        from the model, from shape inference, or from the runtime; no large weight is read for it. Values that a branch or a
        loop takes from the graph around it count as read.

    When to use it:
        To get features instead of a classifier's scores, one half of an encoder and decoder, or the few nodes around an
        operator that is slow or wrong, to look at it alone.

    Limits:
        Values and nodes inside branches, loops and functions cannot be named. Refused: outputs that need more inputs than are
        named, inputs that lead to no output, values whose type nobody knows.

    Example:
        ```yaml
        passes:
          - extract_subgraph: {outputs: [last_hidden_state]}
        ```
    """

    name = "extract_subgraph"
    config = ExtractSubgraphConfig
    tools = ("onnx", "onnxruntime")

    def unsuitable(self, model: ModelProto, config: ExtractSubgraphConfig, target: Target) -> Sequence[str]:
        """Refuses names that the model does not have, and edges that do not close."""
        del target
        return _piece(model, config).reasons

    def rewrite(
        self, model: ModelProto, source: Artifact, config: ExtractSubgraphConfig, context: PassContext
    ) -> Rewritten:
        """Cuts the piece out."""
        piece = _piece(model, config)
        types = ValueTypes(model, source, context.scratch)
        return Rewritten(cut_out(model, piece.places, piece.inputs, piece.outputs, types))


def _piece(model: ModelProto, config: ExtractSubgraphConfig) -> _Piece:
    if model.training_info:
        return _Piece(reasons=["the model holds training graphs, which belong to it as a whole"])
    return _of_nodes(model, config.nodes) if config.nodes else _between(model, config.inputs, config.outputs)


def _between(model: ModelProto, inputs: Sequence[str], outputs: Sequence[str]) -> _Piece:
    made_by = makers(model.graph.node)
    known = {*made_by, *weight_names(model), *(entry.name for entry in model.graph.input)}
    missing = [name for name in (*inputs, *outputs) if name not in known]
    if missing:
        return _Piece(reasons=[f"the main graph has no value {name!r}: {nearest(name, known)}" for name in missing])
    ends = outputs or [entry.name for entry in model.graph.output]
    wanted = [name for name in ends if name not in inputs]
    places = leading_to(wanted, model.graph.node, made_by, frozenset(inputs))
    own = {name for place in places for name in model.graph.node[place].output}
    read = {name for place in places for name in reads(model.graph.node[place])} | set(ends)
    from_outside = [name for name in needs(places, model, ends) if name not in inputs]
    idle = [f"nothing that leads to the outputs reads the input {name!r}" for name in inputs if name not in read]
    if not inputs:
        order = [value.name for value in signature_of(model).inputs]
        return _Piece(places, [name for name in order if name in from_outside], ends)
    lacking = [f"the outputs also need {name!r}: name it among the inputs" for name in from_outside if name not in own]
    return _Piece(places, inputs, ends, [*lacking, *idle])


def _of_nodes(model: ModelProto, patterns: Sequence[str]) -> _Piece:
    nothing = [f"no node of the main graph matches {pattern!r}" for pattern in unmatched(model, patterns)]
    if nothing:
        return _Piece(reasons=nothing)
    names = set(matching(model, patterns))
    graph = model.graph
    chosen = {place for place, node in enumerate(graph.node) if node.name in names}
    made_by = makers(graph.node)
    read = {name for place in chosen for name in reads(graph.node[place])}
    chosen |= {made_by[name] for name in read if name in made_by and graph.node[made_by[name]].op_type == "Constant"}
    places = sorted(chosen)
    elsewhere = {entry.name for entry in graph.output} | _read_by_others(model, chosen)
    made = [name for place in places if graph.node[place].name in names for name in graph.node[place].output]
    outputs = [name for name in made if name in elsewhere]
    if not outputs:
        return _Piece(reasons=["nothing outside the named nodes reads what they make, so the piece has no output"])
    return _Piece(places, needs(places, model, ()), outputs)


def _read_by_others(model: ModelProto, chosen: Iterable[int]) -> set[str]:
    within = set(chosen)
    return {name for place, node in enumerate(model.graph.node) if place not in within for name in reads(node)}
