"""A model made of some nodes of another: what crosses its edge becomes inputs and outputs, what it does not use is left."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

from olivelike.onnxfile.names import Names, all_names
from olivelike.onnxfile.wiring import graphs_inside, reads

if TYPE_CHECKING:
    from onnx import FunctionProto, ModelProto, NodeProto, ValueInfoProto

    from olivelike_passes.graph.value_types import ValueTypes

HEADER = (
    "ir_version", "producer_name", "producer_version", "domain", "model_version", "doc_string",
)  # fmt: skip


def needs(places: Iterable[int], model: ModelProto, outputs: Sequence[str]) -> tuple[str, ...]:
    """Returns the values that some nodes and outputs need from outside, weights left out, in the order they are read."""
    graph = model.graph
    chosen = [graph.node[place] for place in places]
    own = {name for node in chosen for name in node.output} | weight_names(model)
    read = [name for node in chosen for name in reads(node)]
    return tuple(dict.fromkeys(name for name in (*read, *outputs) if name not in own))


def weight_names(model: ModelProto) -> frozenset[str]:
    """Returns the names of the main graph's initializers, sparse ones too."""
    sparse = {tensor.values.name for tensor in model.graph.sparse_initializer}
    return frozenset(tensor.name for tensor in model.graph.initializer) | sparse


def cut_out(
    model: ModelProto, places: Iterable[int], inputs: Sequence[str], outputs: Sequence[str], types: ValueTypes
) -> ModelProto:
    """Returns a model of some of the main graph's nodes, with the weights, functions and declarations that it uses.

    A weight that is an input as well stays one. A node that also makes one of the inputs makes it under another name.

    Args:
        model: the model; it is left as it is.
        places: the nodes' places in the main graph, ascending; the nodes stand in an order that they can run in.
        inputs: values that are to be inputs, in order; those that are weights are weights no more.
        outputs: values that are to be outputs, in order.
        types: what is known of the values.

    Raises:
        RefusedError: OL301, the type of an input or output cannot be found.
    """
    import onnx

    chosen = _apart([deepcopy(model.graph.node[place]) for place in places], inputs, model)
    part = onnx.ModelProto(**{name: getattr(model, name) for name in HEADER if model.HasField(name)})
    part.opset_import.extend(model.opset_import)
    part.metadata_props.extend(model.metadata_props)
    part.functions.extend(_used_functions(model, chosen))
    graph = part.graph
    graph.name = model.graph.name
    graph.node.extend(chosen)
    used = {name for node in chosen for name in (*reads(node), *node.output)} | set(outputs)
    _add_annotations(part, model, used)
    held = used - set(inputs)
    graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in held)
    graph.sparse_initializer.extend(t for t in model.graph.sparse_initializer if t.values.name in held)
    graph.input.extend(types.of(name) for name in inputs)
    weights = weight_names(part)
    graph.input.extend(entry for entry in model.graph.input if entry.name in weights)
    graph.output.extend(_as_output(types.of(name), name) for name in outputs)
    ends = {*inputs, *outputs}
    graph.value_info.extend(e for e in model.graph.value_info if e.name in used and e.name not in ends)
    return part


def _apart(chosen: list[NodeProto], inputs: Collection[str], model: ModelProto) -> list[NodeProto]:
    """Renames what nodes make beside what is wanted of them, where it is to come in from outside."""
    free = Names(all_names(model))
    for node in chosen:
        for place, name in enumerate(node.output):
            if name in inputs:
                node.output[place] = free.fresh(f"{name}_unused")
    return chosen


def _add_annotations(part: ModelProto, model: ModelProto, used: set[str]) -> None:
    """Hands on quantization annotations of values that are used, and counts the tensors they name as used."""
    for annotation in model.graph.quantization_annotation:
        if annotation.tensor_name in used:
            part.graph.quantization_annotation.append(annotation)
            used |= {entry.value for entry in annotation.quant_parameter_tensor_names}


def _as_output(entry: ValueInfoProto, name: str) -> ValueInfoProto:
    copy = deepcopy(entry)
    copy.name = name
    return copy


def _used_functions(model: ModelProto, chosen: Sequence[NodeProto]) -> list[FunctionProto]:
    """Returns the model's own functions that nodes call, directly or through another, in the model's order."""
    known = {(function.domain, function.name, function.overload): function for function in model.functions}
    found: set[tuple[str, str, str]] = set()
    ahead = list(chosen) if known else []
    while ahead:
        node = ahead.pop()
        ahead += [inner for graph in graphs_inside(node) for inner in graph.node]
        key = (node.domain, node.op_type, node.overload)
        if key in known and key not in found:
            found.add(key)
            ahead += known[key].node
    return [function for key, function in known.items() if key in found]
