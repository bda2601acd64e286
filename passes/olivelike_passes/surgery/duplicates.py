"""Rewrites of what a model has twice, or for nothing: nodes, initializers inside branches, copies between devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from olivelike_passes.surgery.opened import MICROSOFT, Opened
from olivelike_passes.surgery.rewrite import Found, NoParameters, Rewrite
from olivelike_passes.surgery.scope import OWN, Scope
from olivelike_passes.surgery.values import same_values

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

COPIES = ("MemcpyFromHost", "MemcpyToHost")
"""What the runtime puts where a value goes to another device, when it saves a graph that it has divided among providers."""


def deduplicate_nodes(opened: Opened, _: NoParameters) -> Found:
    """Takes out nodes that make again what an equal node makes: a model that has them is invalid.

    Pattern: nodes of one graph with the same type, inputs, outputs and attributes (converters to half precision write a
    `Cast` twice). Result: the first of them. Refuses where the nodes that make a value are not equal. No number changes.
    """
    count = 0
    for scope in opened.scopes:
        first: dict[str, NodeProto] = {}
        for node in scope.nodes:
            earlier = next((first[name] for name in node.output if name in first), None)
            if earlier is None:
                first |= {name: node for name in node.output if name}
            elif _computed(earlier) == _computed(node):
                scope.drop(node)
                count += 1
            else:
                shared = next(name for name in node.output if name in first)
                raise opened.refuse(f"step deduplicate_nodes: the value {shared!r} is made by two different nodes")
    return count


def _computed(node: NodeProto) -> bytes:
    copy = type(node)()
    copy.CopyFrom(node)
    for field in ("name", "doc_string", "metadata_props"):
        copy.ClearField(field)
    copy.attribute.sort(key=lambda attribute: attribute.name)
    written: bytes = copy.SerializeToString(deterministic=True)
    return written


def deduplicate_subgraph_initializers(opened: Opened, _: NoParameters) -> Found:
    """Takes out initializers that a branch or a loop lists again under the same name.

    Pattern: initializers of one inner graph (`If`, `Loop`, `Scan`) with the same name, type, shape and values. Result: the
    first of them. Refuses where the values differ. No number changes.
    """
    count = 0
    for scope in opened.scopes[1:]:
        held = scope.graph.initializer
        first: dict[str, TensorProto] = {}
        again: list[int] = []
        for place, tensor in enumerate(held):
            earlier = first.setdefault(tensor.name, tensor)
            if earlier is tensor:
                continue
            if not same_values(opened.values(earlier), opened.values(tensor)):
                claim = f"the initializer {tensor.name!r} is in {scope.graph.name!r} twice, with different values"
                raise opened.refuse(f"step deduplicate_subgraph_initializers: {claim}")
            again.append(place)
        for place in reversed(again):
            del held[place]
        count += len(again)
    return count


def remove_memcpy(opened: Opened, _: NoParameters) -> Found:
    """Takes out copies between a device and the host, which the runtime puts in anew where it needs them.

    Pattern: `MemcpyToHost` and `MemcpyFromHost` of one input. Result: what read the copy reads the value; an output that was
    a copy keeps its name: what made the value makes it under this name, or an `Identity` does where the value is an input,
    a weight, another output or of the graph around, or a branch has another value of its name. No number changes.
    """
    count = 0
    for scope in opened.scopes:
        found = [node for node in scope.nodes if node.op_type in COPIES and node.domain in (*OWN, MICROSOFT)]
        copies = {node.output[0]: node for node in found if len(node.input) == len(node.output) == 1}
        renamed: dict[str, str] = {}
        for output, node in copies.items():
            source = node.input[0]
            while source in copies:
                source = copies[source].input[0]
            if output in scope.outputs:
                _make_output(opened, scope, node, source, renamed)
            elif scope.is_hidden(source):
                _keep_as_identity(opened, scope, node, source)
            else:
                scope.drop(node)
                scope.redirect(output, source)
        count += len(copies)
    return count


def _make_output(opened: Opened, scope: Scope, copy: NodeProto, source: str, renamed: dict[str, str]) -> None:
    output = copy.output[0]
    maker = scope.makers.get(source)
    if maker is None or source in renamed or source in scope.outputs or scope.is_hidden(output):
        _keep_as_identity(opened, scope, copy, source)
        return
    scope.drop(copy)
    maker.output[list(maker.output).index(source)] = output
    scope.redirect(source, output)
    renamed[source] = output


def _keep_as_identity(opened: Opened, scope: Scope, copy: NodeProto, source: str) -> None:
    output = copy.output[0]
    scope.put(copy, opened.node("Identity", [source], [output], f"{copy.name or output}_Identity"))


REWRITES = (
    Rewrite("deduplicate_nodes", "DeduplicateNodes", deduplicate_nodes, "node that makes a value again", mends=True),
    Rewrite(
        "deduplicate_subgraph_initializers",
        "DeduplicateSubgraphInitializers",
        deduplicate_subgraph_initializers,
        "initializer that is twice in a branch or a loop",
        mends=True,
    ),
    Rewrite("remove_memcpy", "RemoveMemcpy", remove_memcpy, f"{COPIES[0]} or {COPIES[1]}"),
)
