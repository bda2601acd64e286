"""Transposes put in at a graph's edges, and pairs of them that operators on single elements lie between, cancelled."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from olivelike.onnxfile.names import Names, all_names
from olivelike.onnxfile.wiring import rename_reads
from olivelike_passes.graph.layouts import BINARY, UNARY, Readers, own
from olivelike_passes.header import replace_all
from olivelike_passes.weights import add_weight, replaceable_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

FIRST = "_channels_first"


def to_last(rank: int) -> list[int]:
    """Returns the permutation that moves the channels behind everything: `[0, 2, 3, 1]`."""
    return [0, *range(2, rank), 1]


def to_first(rank: int) -> list[int]:
    """Returns the permutation that moves them back: `[0, 3, 1, 2]`."""
    return [0, rank - 1, *range(1, rank - 1)]


class Edges:
    """A main graph whose inputs and outputs are taken and given with their channels last."""

    def __init__(self, model: ModelProto) -> None:
        """Takes over a model, its nodes in order."""
        self.model = model
        self._names = Names(all_names(model))
        self._constants = _constants(model)

    def turn_input(self, name: str, rank: int) -> None:
        """Takes an input with its channels last, under its name."""
        import onnx

        inner = self._names.fresh(name + FIRST)
        for node in self.model.graph.node:
            rename_reads(node, {name: inner})
        self._annotate(name, inner)
        turn = onnx.helper.make_node("Transpose", [name], [inner], name=f"{inner}_transpose", perm=to_first(rank))
        self.model.graph.node.insert(0, turn)
        self._declare(self.model.graph.input, name, to_last(rank))
        self._cancel(inner)

    def turn_output(self, name: str, rank: int) -> None:
        """Gives an output with its channels last, under its name."""
        import onnx

        inner = self._names.fresh(name + FIRST)
        for node in self.model.graph.node:
            rename_reads(node, {name: inner})
            for place, made in enumerate(node.output):
                node.output[place] = inner if made == name else made
        self._annotate(name, inner)
        turn = onnx.helper.make_node("Transpose", [inner], [name], name=f"{inner}_transpose", perm=to_last(rank))
        self.model.graph.node.append(turn)
        self._declare(self.model.graph.output, name, to_last(rank))
        if above := self._transpose_above(inner):
            self._cancel(above)

    def _cancel(self, value: str) -> None:
        """Takes out the transpose that makes a value, where those who read it are transposes or lead straight to one."""
        readers = Readers(self.model.graph)
        turn = readers.makers[value]
        turned = [node for node in readers.nodes[value] if _is_transpose(node)]
        for node in turned:
            self._unite(turn, [], node)
        self._skip(turned)
        readers = Readers(self.model.graph)
        path: list[NodeProto] = []
        at = readers.only(value)
        while at is not None and self._is_free(at, path[-1].output[0] if path else value, len(_perm(turn))):
            path.append(at)
            at = readers.only(at.output[0])
        if path and at is not None and _is_transpose(at):
            self._unite(turn, path, at)
            self._skip([at])
        if not Readers(self.model.graph).nodes.get(value) and not readers.is_output(value):
            self._drop(turn)

    def _unite(self, turn: NodeProto, path: Sequence[NodeProto], last: NodeProto) -> None:
        """Lets the nodes between two transposes compute in the layout before the first; the last does the work of both."""
        before = turn.input[0]
        for node in path:
            self._turn_constants(node, turn)
        if path:
            rename_reads(path[0], {turn.output[0]: before})
            self._forget({name for node in path for name in node.output})
        else:
            last.input[0] = before
        united = [_perm(turn)[axis] for axis in _perm(last)]
        if united != sorted(united):
            last.attribute[0].ints[:] = united
            return
        last.op_type = "Identity"
        del last.attribute[:]

    def _skip(self, united: Sequence[NodeProto]) -> None:
        """Takes out those nodes that are an `Identity` now, all at once, unless one hands an input through to an output."""
        graph = self.model.graph
        ends = {entry.name for entry in graph.output}
        identities = [node for node in united if node.op_type == "Identity"]
        inner = [node for node in identities if node.output[0] not in ends]
        names = {node.output[0]: node.input[0] for node in inner}
        for node in graph.node if names else ():
            rename_reads(node, names)
        self._drop(*inner)
        if len(inner) == len(identities):
            return
        readers = Readers(graph)
        for identity in identities:
            source, result = identity.input[0], identity.output[0]
            if result in ends and source in readers.makers and readers.only(source) is identity:
                maker = readers.makers[source]
                maker.output[:] = [result if name == source else name for name in maker.output]
                self._annotate(source, result)
                self._drop(identity)

    def _is_free(self, node: NodeProto, value: str, rank: int) -> bool:
        """Whether a node computes each element of a value alone, so that the order of axes is nothing to it."""
        if not own(node) or list(node.input).count(value) != 1 or len(node.output) != 1:
            return False
        others = [self._constants.get(name) for name in node.input if name and name != value]
        if any(other is None for other in others):
            return False
        sizes = [(_count(other), len(other.dims)) for other in others if other is not None]
        if node.op_type in UNARY:
            return node.input[0] == value and all(count == 1 for count, _ in sizes)
        return node.op_type in BINARY and all(length <= rank for _, length in sizes)

    def _turn_constants(self, node: NodeProto, turn: NodeProto) -> None:
        import numpy as np
        from onnx import numpy_helper

        perm = _perm(turn)
        for place, name in enumerate(node.input):
            constant = self._constants.get(name)
            if constant is None or _count(constant) == 1:
                continue
            values = numpy_helper.to_array(constant)
            aligned = values.reshape((1,) * (len(perm) - values.ndim) + values.shape)
            turned: NDArray[np.generic] = np.ascontiguousarray(aligned.transpose(np.argsort(perm)))
            new = numpy_helper.from_array(turned, self._names.fresh(f"{name}_channels_last"))
            add_weight(self.model, new)
            self._constants[new.name] = new
            node.input[place] = new.name

    def _transpose_above(self, value: str) -> str | None:
        """Returns what the transpose makes that a value comes straight from."""
        readers = Readers(self.model.graph)
        node = readers.makers.get(value)
        while node is not None and own(node) and node.op_type in UNARY | BINARY:
            data = [name for name in node.input if name and name not in self._constants]
            value = data[0] if len(data) == 1 else ""
            node = readers.makers.get(value)
        return value if node is not None and _is_transpose(node) else None

    def _declare(self, entries: Iterable[ValueInfoProto], name: str, perm: Sequence[int]) -> None:
        for entry in entries:
            if entry.name == name:
                dims = entry.type.tensor_type.shape.dim
                replace_all(dims, [dims[axis] for axis in perm])
        self._forget({name})

    def _forget(self, names: set[str]) -> None:
        """Drops declarations of inner values, whose shapes are others now."""
        kept = [entry for entry in self.model.graph.value_info if entry.name not in names]
        if len(kept) < len(self.model.graph.value_info):
            replace_all(self.model.graph.value_info, kept)

    def _annotate(self, old: str, new: str) -> None:
        for annotation in self.model.graph.quantization_annotation:
            if annotation.tensor_name == old:
                annotation.tensor_name = new

    def _drop(self, *gone: NodeProto) -> None:
        # One by one: to fill the list anew would leave every node that is held here empty.
        nodes, dropped = self.model.graph.node, {id(node) for node in gone}
        for place in reversed([place for place, each in enumerate(nodes) if id(each) in dropped] if gone else []):
            del nodes[place]


def _constants(model: ModelProto) -> dict[str, TensorProto]:
    """Returns the constants whose values lie inside the file: initializers that nobody may replace, `Constant` nodes."""
    replaceable = replaceable_weights(model)
    found = {t.name: t for t in model.graph.initializer if t.name not in replaceable and not t.external_data}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = node.attribute[0].t
    return found


def _perm(node: NodeProto) -> list[int]:
    return list(node.attribute[0].ints)


def _is_transpose(node: NodeProto) -> bool:
    return own(node) and node.op_type == "Transpose" and [attribute.name for attribute in node.attribute] == ["perm"]


def _count(tensor: TensorProto) -> int:
    return math.prod(tensor.dims)
