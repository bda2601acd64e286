"""What can go from a graph without looking at a single number: identities, repeated nodes, equal small weights, dead ends."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING

from olivelike.onnxfile.external import is_external
from olivelike.onnxfile.read import opset
from olivelike.onnxfile.repeatable import KNOWN_DOMAINS, is_repeatable
from olivelike.onnxfile.sizes import byte_count
from olivelike.onnxfile.walk import graphs, nodes
from olivelike.onnxfile.wiring import leading_to, makers, reads, rename_reads
from olivelike_passes.graph.equal_nodes import key_of
from olivelike_passes.graph.equal_weights import equal_weights
from olivelike_passes.weights import replaceable_weights

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import GraphProto, ModelProto, NodeProto

SMALL = 1 << 16
"""Equal weights up to so many bytes are told by their bytes, larger ones by digests of them."""


def clean(model: ModelProto) -> None:
    """Takes out of every graph of a model what it does not need, in place; linear in the number of nodes.

    Nodes must stand in order. Names of inputs and outputs stay, and so does what a graph's outputs are called. The bodies of
    functions are left alone.
    """
    kept = replaceable_weights(model)
    for graph in graphs(model):
        _merge(graph, _equal_small_weights(graph, kept))
        _drop_dead_ends(graph, keep=kept if graph is model.graph else frozenset())


def unite_large_weights(model: ModelProto, path: Path) -> None:
    """Leaves one of large weights that are equal, in place; of those that begin differently only the beginning is read.

    Args:
        model: the model.
        path: the file beside which its external data lie.
    """
    kept = replaceable_weights(model)
    for graph in graphs(model):
        left_out = {entry.name for entry in graph.output} | kept
        large = [tensor for tensor in graph.initializer if byte_count(tensor) > SMALL and tensor.name not in left_out]
        names = {twin.name: first.name for first, *twins in equal_weights(large, path) for twin in twins}
        for node in graph.node if names else ():
            rename_reads(node, names)
        for place in reversed(range(len(graph.initializer)) if names else ()):
            if graph.initializer[place].name in names:
                del graph.initializer[place]


def drop_unused_functions(model: ModelProto) -> None:
    """Takes out the functions of a model that nothing calls, in place."""
    while True:
        called = {(node.domain, node.op_type) for node in nodes(model)}
        unused = [place for place, own in enumerate(model.functions) if (own.domain, own.name) not in called]
        if not unused:
            return
        for place in reversed(unused):
            del model.functions[place]


def drop_default_attributes(model: ModelProto) -> None:
    """Takes attributes off nodes that say what the operator's definition says anyway, in place; the runtime writes them out."""
    defaults = _Defaults(model)
    for node in nodes(model):
        for place in reversed(range(len(node.attribute))):
            attribute = node.attribute[place]
            if defaults.of(node).get(attribute.name) == attribute.SerializeToString(deterministic=True):
                del node.attribute[place]


class _Defaults:
    """The default values of operators' attributes, as they are written."""

    def __init__(self, model: ModelProto) -> None:
        self._opset = opset(model)
        self._known: dict[str, dict[str, bytes]] = {}

    def of(self, node: NodeProto) -> dict[str, bytes]:
        """Returns the defaults of a node's attributes; only those of ONNX's own operators are known."""
        if node.domain not in {"", "ai.onnx"}:
            return {}
        if node.op_type not in self._known:
            self._known[node.op_type] = self._read(node.op_type)
        return self._known[node.op_type]

    def _read(self, kind: str) -> dict[str, bytes]:
        import onnx

        try:
            schema = onnx.defs.get_schema(kind, self._opset)
        except onnx.defs.SchemaError:
            return {}
        values = {name: attribute.default_value for name, attribute in schema.attributes.items()}
        return {name: value.SerializeToString(deterministic=True) for name, value in values.items() if value.name}


def _equal_small_weights(graph: GraphProto, kept: frozenset[str]) -> dict[str, str]:
    """Returns the names of small weights whose twin stands before them, each with the twin's."""
    outputs = {entry.name for entry in graph.output}
    seen: dict[Hashable, str] = {}
    names: dict[str, str] = {}
    for tensor in graph.initializer:
        if is_external(tensor) or tensor.name in kept or tensor.name in outputs or byte_count(tensor) > SMALL:
            continue
        key = (tensor.data_type, tuple(tensor.dims), _content(tensor))
        twin = seen.setdefault(key, tensor.name)
        if twin != tensor.name:
            names[tensor.name] = twin
    return names


def _content(tensor: object) -> bytes:
    from onnx import TensorProto

    assert isinstance(tensor, TensorProto)
    if tensor.raw_data:
        return bytes(tensor.raw_data)
    bare = TensorProto()
    bare.CopyFrom(tensor)
    bare.ClearField("name")
    bare.ClearField("doc_string")
    return bytes(bare.SerializeToString(deterministic=True))


def _merge(graph: GraphProto, names: dict[str, str]) -> None:
    """Leads what reads an identity's output, or a repeated node's, to the one value there is."""
    outputs = {entry.name for entry in graph.output}
    seen: dict[Hashable, NodeProto] = {}
    for node in graph.node:
        if names:
            rename_reads(node, names)
        if _is_identity(node) and node.output[0] not in outputs:
            names[node.output[0]] = node.input[0]
        elif is_repeatable(node):
            twin = seen.setdefault(key_of(node), node)
            if twin is not node and outputs.isdisjoint(node.output):
                names |= {own: other for own, other in zip(node.output, twin.output, strict=True) if own}


def _is_identity(node: NodeProto) -> bool:
    if node.domain not in KNOWN_DOMAINS or len(node.input) != 1 or not node.input[0]:
        return False
    alone = [name for name in node.output if name] == [node.output[0]]
    return alone and node.op_type in {"Identity", "Dropout"} and not any(a.name == "is_test" for a in node.attribute)


def _drop_dead_ends(graph: GraphProto, keep: frozenset[str]) -> None:
    wanted = [entry.name for entry in graph.output]
    places = leading_to(wanted, graph.node, makers(graph.node))
    if len(places) < len(graph.node):
        _leave(graph, [graph.node[place] for place in places])
    used = {name for node in graph.node for name in reads(node)} | set(wanted) | keep
    for place in reversed(range(len(graph.initializer))):
        if graph.initializer[place].name not in used:
            del graph.initializer[place]
    _drop_stale(graph, used)


def _leave(graph: GraphProto, nodes: Iterable[NodeProto]) -> None:
    fresh = type(graph)()
    fresh.node.extend(nodes)
    del graph.node[:]
    graph.node.extend(fresh.node)


def _drop_stale(graph: GraphProto, used: set[str]) -> None:
    """Takes out what is said of values that are no more."""
    made = {name for node in graph.node for name in node.output} | used
    for field in (graph.value_info, graph.quantization_annotation):
        for place in reversed(range(len(field))):
            name = field[place].name if field is graph.value_info else field[place].tensor_name
            if name not in made:
                del field[place]
