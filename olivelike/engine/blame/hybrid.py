"""A hybrid: the quantized model with some units computed in float, as BASE does, from real numbers to real numbers.

A unit that is put back reads its inputs before they are rounded, with BASE's weights, and what it makes is rounded again only
where a unit that is still quantized reads it. So the rounding of a value belongs to the unit that reads it (QDQ, dynamic), or,
where operators hand integers on (QOperator), to the one that makes it and the one that reads it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from olivelike.engine.blame.pairing import ACTIVATIONS, Pairing, Shared, Unit
from olivelike.onnxfile.read import signature_of
from olivelike.onnxfile.wiring import leading_to, reads, rename_reads, tidy

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

FLOAT = "olivelike/float/"
"""What stands before the names of BASE's values in a hybrid, so that none is also QUANTIZED's."""
UNUSED = "olivelike/unused/"
ROUNDED = "olivelike/rounded/"


def hybrid(pairing: Pairing, restored: Collection[Unit]) -> ModelProto:
    """Returns a model in which some units are computed in float and all others as in QUANTIZED.

    Its inputs and outputs are those of both models; every value that is shared keeps its name.
    """
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(pairing.quantized)
    work = _Work(pairing, model, restored)
    work.take_off()
    work.put_back()
    tidy(model.graph)
    _unite(model, pairing.base)
    return model


class _Work:
    """The hybrid while it is being built."""

    def __init__(self, pairing: Pairing, model: ModelProto, restored: Collection[Unit]) -> None:
        self._pairing = pairing
        self._graph = model.graph
        self._nodes = pairing.base.graph.node
        self._values = {value for unit in restored for value in unit.values}
        self._places = {place for unit in restored for place in unit.base}
        self._inputs = {value.name for value in signature_of(pairing.base).inputs}

    def take_off(self) -> None:
        """Renames what QUANTIZED's nodes make of the restored values: the names now belong to BASE's nodes."""
        for value in self._values:
            for name in self._pairing.shared[value].names:
                maker = self._graph.node[self._pairing.quantized_makers[name]]
                place = list(maker.output).index(name)
                maker.output[place] = UNUSED + name

    def put_back(self) -> None:
        """Adds BASE's nodes and weights, and what rounds values for units that still read integers."""
        import onnx

        borders = {
            name
            for place in self._places
            for name in reads(self._nodes[place])
            if name in self._pairing.shared and name not in self._values
        }
        for name in sorted(borders):
            self._real(name)
        for value in sorted(self._values):
            shared = self._pairing.shared[value]
            if shared.integer:
                inputs = [self._named(value), shared.grid.scale, shared.grid.zero_point]
                name = ROUNDED + value
                self._graph.node.append(onnx.helper.make_node("QuantizeLinear", inputs, [shared.integer], name=name))
        for place in sorted(self._places):
            self._add(self._nodes[place])
        self._add_weights()

    def _named(self, name: str) -> str:
        """Returns what a value of BASE is called in the hybrid."""
        if not name or name in self._inputs:
            return name
        shared = self._pairing.shared.get(name)
        if shared is not None and shared.real and (name in self._values or not self._left_out(name, shared)):
            return shared.real
        return FLOAT + name

    def _left_out(self, name: str, shared: Shared) -> bool:
        """Whether BASE applies an activation to a value that QUANTIZED leaves to the range of its integers."""
        kind = self._nodes[self._pairing.base_makers[name]].op_type
        theirs = self._pairing.quantized.graph.node[self._pairing.quantized_makers[shared.real]].op_type
        return kind in ACTIVATIONS and theirs not in {kind, "DequantizeLinear"}

    def _real(self, name: str) -> None:
        """Provides the real numbers of a value that a quantized unit makes."""
        import onnx

        shared = self._pairing.shared[name]
        if not shared.real:
            inputs = [shared.integer, shared.grid.scale, shared.grid.zero_point]
            made = onnx.helper.make_node("DequantizeLinear", inputs, [FLOAT + name], name=FLOAT + name)
            self._graph.node.append(made)
        elif self._left_out(name, shared):
            maker = self._nodes[self._pairing.base_makers[name]]
            bounds = leading_to(maker.input[1:], self._nodes, self._pairing.base_makers)
            self._places.update(bounds)
            copy = self._add(maker)
            copy.input[0], copy.output[0] = shared.real, FLOAT + name

    def _add(self, node: NodeProto) -> NodeProto:
        added: NodeProto = self._graph.node.add()
        added.CopyFrom(node)
        added.name = FLOAT + (node.name or node.output[0])
        rename_reads(added, {name: self._named(name) for name in reads(node)})
        for place, name in enumerate(node.output):
            made = name in self._values or name not in self._pairing.shared
            added.output[place] = name and (self._named(name) if made else UNUSED + FLOAT + name)
        return added

    def _add_weights(self) -> None:
        """Adds BASE's weights that the added nodes read, under names of their own."""
        read = {name for node in self._graph.node for name in reads(node)}
        for tensor in self._pairing.base.graph.initializer:
            if FLOAT + tensor.name in read:
                self._graph.initializer.add().CopyFrom(tensor)
                self._graph.initializer[-1].name = FLOAT + tensor.name


def _unite(model: ModelProto, base: ModelProto) -> None:
    """Adds what BASE's nodes need of its header: operator sets, functions, the version of the format."""
    imported = {_domain(entry.domain) for entry in model.opset_import}
    model.opset_import.extend(entry for entry in base.opset_import if _domain(entry.domain) not in imported)
    known = {(function.domain, function.name) for function in model.functions}
    model.functions.extend(f for f in base.functions if (f.domain, f.name) not in known)
    model.ir_version = max(model.ir_version, base.ir_version)


def _domain(written: str) -> str:
    return "" if written == "ai.onnx" else written
