"""One graph of a model, as it stands: who makes and who reads each value, which are constants; and edits not yet in force.

Edits are collected and put in force at once (`commit`), so that a rewrite may walk over the graph while it edits. Messages keep
their identity: new nodes are appended, all are sorted to their places, and what goes is cut off at the end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from olivelike.onnxfile.names import values_of
from olivelike.onnxfile.wiring import graphs_inside, reads, rename_reads

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, TensorProto

OWN = ("", "ai.onnx")
"""The domain of ONNX's own operators, by both of its names."""
NUMBERS = {"value_float": "FLOAT", "value_floats": "FLOAT", "value_int": "INT64", "value_ints": "INT64"}
"""The attributes by which a `Constant` holds plain numbers."""


class Scope:
    """A graph and the edits to it.

    Attributes:
        graph: the graph.
        around: the graph it is nested in, itself for the main graph.
        nodes: its nodes.
        makers: value to the node that makes it.
        inputs: the names of its inputs.
        outputs: the names of its outputs.
    """

    def __init__(self, graph: GraphProto, around: Scope | None, replaceable: Collection[str]) -> None:
        self.graph = graph
        self.around = around or self
        self.nodes = list(graph.node)
        self.makers = {output: node for node in self.nodes for output in node.output if output}
        self.inputs = frozenset(entry.name for entry in graph.input)
        self.outputs = frozenset(output.name for output in graph.output)
        self._held = {tensor.name: tensor for tensor in graph.initializer}
        self._replaceable = replaceable if around is None else ()
        self._readers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in reads(node):
                self._readers[name].append(node)
        self._instead: dict[int, tuple[NodeProto, ...]] = {}
        self._redirected: dict[str, str] = {}

    def home(self, name: str) -> Scope | None:
        """Returns the graph in which a value is made or held, seen from here; nothing where no graph has it."""
        if name in self.makers or name in self._held or name in self.inputs:
            return self
        return None if self.around is self else self.around.home(name)

    def maker(self, name: str, *kinds: str, domain: str = "") -> NodeProto | None:
        """Returns the node of this graph that makes a value, if it is of one of these types (any if none is named)."""
        node = self.makers.get(name)
        if node is None or (kinds and node.op_type not in kinds) or id(node) in self._instead:
            return None
        return node if node.domain == domain or {node.domain, domain} <= set(OWN) else None

    def readers(self, name: str) -> list[NodeProto]:
        """Returns the nodes of this graph that read a value, those that read it in a graph inside them too."""
        return [node for node in self._readers.get(name, ()) if id(node) not in self._instead]

    def only_reader(self, name: str, *kinds: str) -> NodeProto | None:
        """Returns the one node that reads a value, and does so once, if it is of one of these types; no output is the value."""
        found = self.readers(name)
        if len(found) != 1 or name in self.outputs or found[0].op_type not in kinds or found[0].domain not in OWN:
            return None
        return found[0] if list(found[0].input).count(name) == 1 else None

    def takers(self, name: str) -> Iterator[NodeProto]:
        """Yields the nodes that name a value as an input: of this graph and of those inside it that do not hide the name."""
        for node in self.readers(name):
            if name in node.input:
                yield node
            for inner in graphs_inside(node):
                yield from _takers_inside(inner, name)

    def is_hidden(self, name: str) -> bool:
        """Whether a graph inside this one has a value of its own under a name, so that it could not read this graph's."""
        return any(name in values_of(inner) for node in self.nodes for inner in _graphs_below(node))

    def is_read(self, name: str) -> bool:
        """Whether a node reads a value, or an output is it."""
        return name in self.outputs or bool(self.readers(name))

    def constant(self, name: str) -> TensorProto | None:
        """Returns the tensor of a value that never changes: an initializer that cannot be replaced, or a `Constant`."""
        home = self.home(name)
        if home is None:
            return None
        if home is not self:
            return home.constant(name)
        if name in self._held:
            return None if name in self._replaceable else self._held[name]
        node = self.makers.get(name)
        return None if node is None or node.op_type != "Constant" or node.domain not in OWN else _held_by(node)

    def put(self, instead_of: NodeProto, *new: NodeProto) -> None:
        """Puts nodes in the place of one; before them stand those put there earlier."""
        self._instead[id(instead_of)] = (*self._instead.get(id(instead_of), ()), *new)

    def drop(self, node: NodeProto) -> tuple[str, ...]:
        """Takes a node out, and returns what it read."""
        self.put(node)
        return reads(node)

    def redirect(self, old: str, new: str) -> None:
        """Lets all that reads a value read another; an output keeps its name and its value."""
        self._redirected[old] = new

    def commit(self) -> list[str]:
        """Puts the edits in force, and returns the values that the nodes which went had read, and those no longer read."""
        gone = [node for node in self.nodes if id(node) in self._instead]
        left = [name for node in gone for name in reads(node)] + list(self._redirected)
        self._replace()
        names = {old: self._end_of(old) for old in self._redirected}
        if names:
            for node in self.graph.node:
                rename_reads(node, names)
        self._instead.clear()
        self._redirected.clear()
        return left

    def _replace(self) -> None:
        if not self._instead:
            return
        order: dict[int, int] = {}
        added: list[NodeProto] = []
        kept = 0
        for node in self.nodes:
            new = self._instead.get(id(node))
            if new is None:
                order[id(node)] = kept
                kept += 1
                continue
            for each in new:
                copy = self.graph.node.add()
                copy.CopyFrom(each)
                added.append(copy)  # held, so that its identity stays what it is
                order[id(copy)] = kept
                kept += 1
        self.graph.node.sort(key=lambda node: order.get(id(node), kept))
        del self.graph.node[kept:]

    def _end_of(self, name: str) -> str:
        while name in self._redirected:
            name = self._redirected[name]
        return name


def scopes_of(graph: GraphProto, replaceable: Collection[str], around: Scope | None = None) -> list[Scope]:
    """Returns a look at a graph and at all inside it, each after the one around it.

    Args:
        graph: the main graph.
        replaceable: its initializers that may be replaced as the model runs: they are no constants.
        around: the graph around it, if it is none.
    """
    scope = Scope(graph, around, replaceable)
    found = [scope]
    for node in scope.nodes:
        for inner in graphs_inside(node):
            found += scopes_of(inner, replaceable, scope)
    return found


def attribute_of(node: NodeProto, name: str, default: object) -> object:
    """Returns the value of a node's attribute, the default where it has none of the name; text is decoded."""
    import onnx

    for attribute in node.attribute:
        if attribute.name == name:
            value = onnx.helper.get_attribute_value(attribute)
            return value.decode() if isinstance(value, bytes) else value
    return default


def _takers_inside(graph: GraphProto, name: str) -> Iterator[NodeProto]:
    if name in values_of(graph):
        return
    for node in graph.node:
        if name in node.input:
            yield node
        for inner in graphs_inside(node):
            yield from _takers_inside(inner, name)


def _graphs_below(node: NodeProto) -> Iterator[GraphProto]:
    for inner in graphs_inside(node):
        yield inner
        for each in inner.node:
            yield from _graphs_below(each)


def _held_by(node: NodeProto) -> TensorProto | None:
    import numpy as np
    import onnx

    for attribute in node.attribute:
        if attribute.name == "value":
            tensor: TensorProto = attribute.t
            return tensor
        if attribute.name in NUMBERS:
            dtype = "float32" if NUMBERS[attribute.name] == "FLOAT" else "int64"
            values = np.asarray(onnx.helper.get_attribute_value(attribute), dtype)
            made: TensorProto = onnx.numpy_helper.from_array(values, node.output[0])
            return made
    return None
