"""The pass `deduplicate`: equal weights are held once, and what is computed twice from the same is computed once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.onnxfile.names import Names, all_names, values_of
from olivelike.onnxfile.sizes import byte_count
from olivelike.onnxfile.walk import nodes
from olivelike.onnxfile.wiring import rename_reads
from olivelike_passes.graph.equal_nodes import merge_equal_nodes
from olivelike_passes.graph.equal_weights import equal_weights, transposed_pairs
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.graph.rename_io import TRAINING
from olivelike_passes.graph.scopes import inner_graphs, make_way
from olivelike_passes.weights import FREE_WEIGHTS_IR, replaceable_weights

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto, ModelProto, TensorProto

    from olivelike.digest import Json


class DeduplicateConfig(PassConfig):
    """What `deduplicate` looks at."""

    what: list[Literal["initializers", "nodes", "subgraphs"]] = Field(
        default=["initializers", "nodes", "subgraphs"], min_length=1
    )
    """`initializers`: equal weights of the main graph. `nodes`: operators that repeat another, in every graph and function.
    `subgraphs`: weights of branches and loops that another one or the main graph holds too; the main graph then holds them."""
    transposes: bool = False
    """Name in the notes the matrices that are each other's transpose, as tied embeddings are; it costs one more reading."""


class Deduplicate(GraphPass[DeduplicateConfig]):
    """Holds equal weights once, and computes once what is computed from the same.

    What it does:
        Weights of one type and shape with the same bytes become one, nodes with the same operator, attributes and inputs too,
        along whole chains of them. Outputs keep their names. A model without anything equal stays. The notes say how many
        went, and the bytes.

    When to use it:
        After exports that write tied weights twice (embedding and output layer) or repeat the mask in every layer, and after
        passes that write a scale for each node.

    Limits:
        Never merges weights that are inputs as well (they may be replaced), operators that draw random numbers, and those of
        unknown domains and the model's own functions. Two outputs stay two, even if they are equal. Matrices that are equal
        when transposed are named only: merging them takes another operator.

    Example:
        ```yaml
        passes:
          - deduplicate: {transposes: true}
          - simplify: {}
        ```
    """

    name = "deduplicate"
    config = DeduplicateConfig
    lossless = True

    def unsuitable(self, model: ModelProto, config: DeduplicateConfig, target: Target) -> Sequence[str]:
        """Refuses models with training graphs."""
        return [TRAINING] if model.training_info else []

    def rewrite(
        self, model: ModelProto, source: Artifact, config: DeduplicateConfig, context: PassContext
    ) -> Rewritten:
        """Merges weights first, so that the nodes that read them are equal too."""
        make_way(
            model, values_of(model.graph), keeping=values_of(model.graph)
        )  # what a branch reads is then what is meant
        gone: list[int] = []
        if "initializers" in config.what:
            gone += _merge_main(model, source)
        if "subgraphs" in config.what:
            gone += _merge_inner(model, source)
        count = _merge_nodes(model) if "nodes" in config.what else 0
        removed: Json = {"initializers": len(gone), "bytes": sum(gone), "nodes": count}
        if not config.transposes:
            return Rewritten(model, {"removed": removed})
        pairs = transposed_pairs(_constants(model), source.model)
        return Rewritten(model, {"removed": removed, "transposed": [[*pair] for pair in pairs]})


def _merge_main(model: ModelProto, source: Artifact) -> list[int]:
    """Merges the main graph's equal weights; returns the bytes of each that went."""
    ends = {entry.name for entry in model.graph.output}
    names: dict[str, str] = {}
    for group in equal_weights(_constants(model), source.model):
        stays = next((tensor.name for tensor in group if tensor.name in ends), group[0].name)
        names.update({tensor.name: stays for tensor in group if tensor.name not in {stays, *ends}})
    return _replace_weights(model.graph, names)


def _merge_inner(model: ModelProto, source: Artifact) -> list[int]:
    """Lets graphs inside nodes read equal weights from the main graph, moved there if need be.

    Returns:
        The bytes of each that went; those that were only moved are not among them.
    """
    if model.ir_version < FREE_WEIGHTS_IR:
        return []
    main = _constants(model)
    inner = [tensor for graph in inner_graphs(model.graph) for tensor in _movable(graph)]
    own = {id(tensor) for tensor in main}
    free = Names(all_names(model))
    names: dict[int, str] = {}
    moved: list[int] = []
    for group in equal_weights([*main, *inner], source.model):
        name = group[0].name
        if id(group[0]) not in own:
            name = _moved(model, group[0], free)
            moved.append(byte_count(group[0]))
        names.update({id(tensor): name for tensor in group if id(tensor) not in own})
    make_way(model, names.values(), keeping=values_of(model.graph))
    gone: list[int] = []
    for graph in inner_graphs(model.graph):
        gone += _replace_weights(graph, {t.name: names[id(t)] for t in graph.initializer if id(t) in names})
    for size in moved:
        gone.remove(size)
    return gone


def _merge_nodes(model: ModelProto) -> int:
    """Merges equal nodes of every graph and function; returns how many went."""
    before = _node_count(model)
    ends = {entry.name for entry in model.graph.output}
    _forget(model.graph, merge_equal_nodes(model.graph.node, ends))
    for graph in inner_graphs(model.graph):  # the graph around one comes first, so that it reads what is left
        _forget(graph, merge_equal_nodes(graph.node, {entry.name for entry in graph.output}))
    for function in model.functions:
        _drop_types(function, merge_equal_nodes(function.node, set(function.output)))
    return before - _node_count(model)


def _constants(model: ModelProto) -> list[TensorProto]:
    """Returns the main graph's weights, without those that can be replaced or whose quantization is written beside them."""
    apart = replaceable_weights(model) | {note.tensor_name for note in model.graph.quantization_annotation}
    return [tensor for tensor in model.graph.initializer if tensor.name not in apart]


def _movable(graph: GraphProto) -> list[TensorProto]:
    """Returns the weights of a graph inside a node that may lie outside: not its inputs, and no output, which it must make."""
    apart = {entry.name for entry in (*graph.input, *graph.output)}
    apart |= {note.tensor_name for note in graph.quantization_annotation}
    return [tensor for tensor in graph.initializer if tensor.name not in apart]


def _moved(model: ModelProto, tensor: TensorProto, free: Names) -> str:
    """Copies a weight into the main graph, and returns its name there."""
    name = free.fresh(tensor.name)
    model.graph.initializer.add().CopyFrom(tensor)
    model.graph.initializer[-1].name = name
    return name


def _replace_weights(graph: GraphProto, names: Mapping[str, str]) -> list[int]:
    """Lets all that reads some weights read others, and takes them out; returns the bytes of each."""
    mapping = dict(names)
    for node in graph.node:
        rename_reads(node, mapping)
    for note in graph.quantization_annotation:
        for pair in note.quant_parameter_tensor_names:
            pair.value = mapping.get(pair.value, pair.value)
    gone = [place for place, tensor in enumerate(graph.initializer) if tensor.name in mapping]
    sizes = [byte_count(graph.initializer[place]) for place in gone]
    for place in reversed(gone):
        del graph.initializer[place]
    for place in reversed([place for place, entry in enumerate(graph.input) if entry.name in mapping]):
        del graph.input[place]  # up to IR version 3 weights are inputs as well
    _forget(graph, mapping)
    return sizes


def _forget(graph: GraphProto, gone: Mapping[str, str]) -> None:
    """Takes out what is written of values that are no more; their quantization is handed to those that stand for them."""
    _drop_types(graph, gone)
    known: set[str] = set()
    for place, note in reversed(list(enumerate(graph.quantization_annotation))):
        note.tensor_name = gone.get(note.tensor_name, note.tensor_name)
        if note.tensor_name in known:
            del graph.quantization_annotation[place]
        known.add(note.tensor_name)


def _drop_types(holder: GraphProto | FunctionProto, gone: Collection[str]) -> None:
    for place in reversed([place for place, entry in enumerate(holder.value_info) if entry.name in gone]):
        del holder.value_info[place]


def _node_count(model: ModelProto) -> int:
    return sum(1 for _ in nodes(model))
