"""The pass `strip`: a model without what it is not computed with: descriptions, stated inner types, traces of its exporter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import PassConfig, PassContext
from olivelike.onnxfile.walk import graphs, nodes, tensors
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten

if TYPE_CHECKING:
    from google.protobuf.message import Message  # type: ignore[import-untyped]
    from onnx import ModelProto

PRODUCER = ("producer_name", "producer_version", "domain", "model_version")


class StripConfig(PassConfig):
    """What `strip` takes out."""

    doc_strings: bool = True
    """Descriptions: of the model, its graphs, nodes, values, weights. Exporters write stack traces there."""
    value_info: bool = True
    """The stated types and shapes of inner values; the runtime infers them anew. Those of inputs and outputs stay."""
    inner_metadata: bool = False
    """Metadata of graphs, nodes, functions, values and weights (`metadata_props`), as torch's exporter writes them."""
    metadata: bool = False
    """The model's own metadata: character sets, class names, licences, what an application may read."""
    producer: bool = False
    """The name and version of the exporter, and the model's domain and version."""
    node_names: bool = False
    """The names of nodes. Passes that pick nodes by name find none afterwards, and profiles are harder to read."""


class Strip(GraphPass[StripConfig]):
    """Takes out of a model file what the model is not computed with.

    What it does:
        Removes descriptions and the stated types of inner values, and on request metadata, the producer and the names of
        nodes: in the main graph, in branches and loops, and in functions. A model that has none of it stays. The notes say
        how much went.

    When to use it:
        Last, before a model is shipped: exporters write stack traces and file names of the machine they ran on, megabytes
        in a small model.

    Limits:
        Names of inputs, outputs, inner values and weights stay. Tools that do not infer types themselves may miss those of
        inner values: `simplify: {infer_shapes: true}` writes them again.

    Example:
        ```yaml
        passes:
          - simplify: {}
          - strip: {inner_metadata: true, producer: true}
        ```
    """

    name = "strip"
    config = StripConfig
    lossless = True

    def rewrite(self, model: ModelProto, source: Artifact, config: StripConfig, context: PassContext) -> Rewritten:
        """Clears the fields that were asked for."""
        size: Counter[str] = Counter()
        for part in _described(model):
            if config.doc_strings:
                size["doc_strings"] += _clear(part, "doc_string")
            if config.metadata and part is model:
                size["metadata"] += _clear(part, "metadata_props")
            if config.inner_metadata and part is not model:
                size["inner_metadata"] += _clear(part, "metadata_props")
        if config.value_info:
            size["value_info"] = sum(_clear(holder, "value_info") for holder in (*graphs(model), *model.functions))
        if config.producer:
            size["producer"] = sum(_clear(model, field) for field in PRODUCER)
        if config.node_names:
            size["node_names"] = sum(_clear(node, "name") for node in nodes(model))
        return Rewritten(model, {"bytes": {name: count for name, count in size.items() if count}})


def _described(model: ModelProto) -> Iterator[Message]:
    """Yields every message that may have a description or metadata."""
    yield model
    for graph in graphs(model):
        yield graph
        yield from (*graph.input, *graph.output, *graph.value_info)
    for function in model.functions:
        yield function
        yield from (*function.value_info, *function.attribute_proto)
    for node in nodes(model):
        yield node
        yield from node.attribute
    yield from tensors(model)


def _clear(part: Message, field: str) -> int:
    """Clears a field, if a message has one of that name, and returns the bytes of the text or of the messages in it."""
    value = getattr(part, field, "")
    if not value:
        return 0
    match value:
        case str():
            size = len(value.encode())
        case int():
            size = 0  # a version
        case _:
            size = sum(entry.ByteSize() for entry in value)
    part.ClearField(field)
    return size
