"""A main graph as a chain that can be cut: its nodes in order, what each weighs, what crosses between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike.onnxfile.repeatable import draws
from olivelike.onnxfile.sizes import byte_count
from olivelike.onnxfile.wiring import graphs_inside, leading_to, makers, reads

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from olivelike_passes.graph.value_types import ValueTypes

DEQUANTIZE = "DequantizeLinear"


@dataclass(frozen=True, slots=True)
class Chain:
    """The nodes that a model computes with, and the copies that may be made of others.

    Attributes:
        model: the model, its nodes in an order that they can run in.
        nodes: places of the nodes that lead to an output and depend on an input, ascending: the chain.
        constants: places of the nodes that depend on weights alone. A part computes those that it reads itself, so that
            a weight does not travel from part to part.
        made_by: value to the place of the node that makes it.
        weights: the bytes of every initializer and every `Constant`.
    """

    model: ModelProto
    nodes: tuple[int, ...]
    constants: frozenset[int]
    made_by: dict[str, int]
    weights: dict[str, int]

    def read_by(self, place: int) -> tuple[str, ...]:
        """Returns what a node reads, in the graphs inside it too."""
        return reads(self.model.graph.node[place])

    def with_constants(self, places: Iterable[int], outputs: Sequence[str] = ()) -> tuple[int, ...]:
        """Returns these nodes and the constants that they or some outputs read, ascending."""
        own = set(places)
        read = [name for place in own for name in self.read_by(place)] + list(outputs)
        wanted = [name for name in read if self.made_by.get(name) in self.constants]
        return tuple(sorted(own | set(leading_to(wanted, self.model.graph.node, self.made_by))))

    def held_by(self, place: int) -> dict[str, int]:
        """Returns the weights that a node reads, itself or through constants, with their bytes."""
        read = [name for each in self.with_constants([place]) for name in self.read_by(each)]
        return {name: self.weights[name] for name in read if name in self.weights}

    def label(self, place: int) -> str:
        """Returns how a node is called in a reason."""
        node = self.model.graph.node[place]
        return f"{node.name!r} ({node.op_type})"

    def crossing(self, types: ValueTypes) -> list[int]:
        """Returns for every position between two nodes of the chain the bytes that would cross a cut there.

        Position `p` is the cut before the chain's node number `p`; there are `len(nodes) + 1`. Dynamic dimensions count as 1.
        What the model itself takes does not cross: every part may take it.
        """
        begins = {name: number for number, place in enumerate(self.nodes) for name in self._made(place)}
        ends = {name: number for number, place in enumerate(self.nodes) for name in self.read_by(place)}
        steps = [0] * (len(self.nodes) + 2)
        for name, begin in begins.items():
            if ends.get(name, -1) > begin:
                size = types.bytes_of(name)
                steps[begin + 1] += size
                steps[ends[name] + 1] -= size
        total, found = 0, []
        for step in steps[: len(self.nodes) + 1]:
            total += step
            found.append(total)
        return found

    def _made(self, place: int) -> Iterable[str]:
        return filter(None, self.model.graph.node[place].output)


def chain_of(model: ModelProto) -> Chain:
    """Returns a model's chain; nodes that lead to no output are not in it."""
    graph = model.graph
    made_by = makers(graph.node)
    alive = leading_to((output.name for output in graph.output), graph.node, made_by)
    listed = {entry.name for entry in graph.input}
    weights = {tensor.name: byte_count(tensor) for tensor in graph.initializer}
    weights |= {t.values.name: byte_count(t.values) + byte_count(t.indices) for t in graph.sparse_initializer}
    weights |= {n.output[0]: _constant_bytes(n) for n in graph.node if n.op_type == "Constant" and n.output}
    replaceable = listed & set(weights) if model.ir_version >= 4 else set()
    constant = set(weights) - replaceable
    places = set()
    for place in alive:
        node = graph.node[place]
        if is_pure(node) and all(name in constant for name in reads(node)):
            places.add(place)
            constant |= set(node.output)
    return Chain(model, tuple(place for place in alive if place not in places), frozenset(places), made_by, weights)


def is_pure(node: NodeProto) -> bool:
    """Whether a copy of a node is sure to give the same again."""
    known = node.domain in ("", "ai.onnx") or node.op_type == DEQUANTIZE
    return known and not draws(node) and not graphs_inside(node)


def _constant_bytes(node: NodeProto) -> int:
    return sum(byte_count(attribute.t) for attribute in node.attribute if attribute.HasField("t"))
