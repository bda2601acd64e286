"""The graph that patterns are looked for in: who makes and takes a value, what is constant, and a replacement of nodes."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.onnxfile.tensors import inlined
from olivelike.onnxfile.wiring import reads, rename_reads
from olivelike_passes.graph.fusion.content_rules import BOOL, LONGEST, WHOLE
from olivelike_passes.graph.fusion.dims import Dim, Shape
from olivelike_passes.graph.fusion.nodes import is_standard
from olivelike_passes.graph.fusion.order import Order
from olivelike_passes.graph.fusion.shapes import Shapes, declared
from olivelike_passes.header import replace_all

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto

    Floats = NDArray[np.float32]

FLOAT = 1
"""float32 (onnx.proto, `TensorProto.DataType`)."""


class Net:
    """One graph of a model while patterns in it are replaced; every question and every change costs the nodes it is about.

    Attributes:
        graph: the graph; its list of nodes is renewed by `write`.
        opset: the version of ONNX's operators that the model imports.
        fused: how many of each fused operator have been put in.
        near: how often something was nearly a pattern, by the reason why it is none.
    """

    def __init__(
        self, graph: GraphProto, path: Path, opset: int, replaceable: frozenset[str], outer: Net | None = None
    ) -> None:
        self.graph = graph
        self.opset = opset
        self.path = path
        self.fused: Counter[str] = Counter()
        self.near: Counter[str] = Counter()
        self.changed = False
        self._outer = outer
        own = {t.name: t for t in graph.initializer if t.name not in replaceable}
        self._constants: dict[str, TensorProto] = {**(outer._constants_outside(graph) if outer else {}), **own}
        self._slots: list[list[NodeProto]] = [[node] for node in graph.node]
        self._makers = {name: node for node in graph.node for name in node.output if name}
        self._added: list[NodeProto] = []
        self._outputs = {entry.name for entry in graph.output}
        self._users: dict[str, dict[int, NodeProto]] = defaultdict(dict)
        for node in graph.node:
            self._count(node)
        self._order = Order(graph.node, self._makers, self._users)
        self._kinds: dict[int, str] = {}
        typed = (*graph.input, *graph.value_info)
        self._floats = {entry.name for entry in typed if entry.type.tensor_type.elem_type == FLOAT}
        self._taken = {*self._makers, *self._users, *self._constants, *(entry.name for entry in graph.input)}
        self.known = self._followed()

    def nodes(self, *kinds: str) -> list[NodeProto]:
        """Returns the nodes of some types of ONNX's own operators, in order, as they are now."""
        return [node for slot in self._slots for node in slot if node.op_type in kinds and is_standard(node)]

    def has(self, node: NodeProto) -> bool:
        """Whether a node is still in the graph."""
        return id(node) in self._order.place

    def maker(self, value: str, *kinds: str) -> NodeProto | None:
        """Returns the node that makes a value, if it is one of ONNX's operators of these types."""
        node = self._makers.get(value)
        return node if node is not None and node.op_type in kinds and is_standard(node) else None

    def inner(self, value: str, *kinds: str) -> NodeProto | None:
        """Returns what `maker` does, if nothing but one input of one node takes the value."""
        return self.maker(value, *kinds) if self.is_inner(value) else None

    def is_inner(self, value: str) -> bool:
        """Whether one input of one node of this graph takes a value, and nothing else does."""
        user = self.taker(value)
        return user is not None and list(user.input).count(value) == 1

    def taker(self, value: str, *kinds: str) -> NodeProto | None:
        """Returns the one node that takes a value as its input, if nothing else does and it is of one of these types."""
        users = self._users[value]
        if len(users) != 1 or value in self._outputs:
            return None
        (user,) = users.values()
        fits = not kinds or (user.op_type in kinds and is_standard(user))
        return user if fits and value in user.input else None

    def user(self, value: str, *kinds: str) -> NodeProto | None:
        """Returns a node that takes a value, no output of the graph, as its input, if it is one of these operators."""
        found = [node for node in self.users(value) if node.op_type in kinds and is_standard(node)]
        return found[0] if found and value in found[0].input and value not in self._outputs else None

    def is_output(self, value: str) -> bool:
        """Whether a value is an output of the graph."""
        return value in self._outputs

    def is_unused(self, value: str) -> bool:
        """Whether nothing takes a value, and it is no output of the graph."""
        return not self._users[value] and value not in self._outputs

    def shape(self, value: str) -> Shape | None:
        """Returns a value's shape, None where not even its rank is known."""
        return self.known.shapes.get(value)

    def last(self, value: str) -> Dim | None:
        """Returns the size of a value's last axis, None where it is not known or the value has no axis."""
        shape = self.shape(value)
        return shape[-1] if shape else None

    def constant(self, value: str) -> TensorProto | None:
        """Returns the tensor of a value that is the same at every run."""
        return self._constants.get(value)

    def number(self, value: str) -> float | None:
        """Returns a constant float32 number: a tensor of one element and at most one axis."""
        import onnx

        tensor = self._constants.get(value)
        if tensor is None or tensor.data_type != FLOAT or len(tensor.dims) > 1 or math.prod(tensor.dims) != 1:
            return None
        return float(onnx.numpy_helper.to_array(inlined(tensor, self.path)).reshape(-1)[0])

    def vector(self, value: str) -> int | None:
        """Returns the length of a constant float32 vector."""
        tensor = self._constants.get(value)
        return (
            int(tensor.dims[0]) if tensor is not None and tensor.data_type == FLOAT and len(tensor.dims) == 1 else None
        )

    def with_number(self, node: NodeProto) -> tuple[str, float] | None:
        """Returns what a node of two inputs computes with, where one is a constant number: the other input, and the number."""
        for other, name in ((node.input[0], node.input[1]), (node.input[1], node.input[0])):
            number = self.number(name) if self.keeps_rank(name, other) else None
            if number is not None and other not in self._constants:
                return other, number
        return None

    def keeps_rank(self, number: str, value: str) -> bool:
        """Whether a constant of one element leaves a value its shape: one of shape [1] gives a value without axes an axis."""
        return self.shape(number) == () or bool(self.shape(value))

    def values(self, value: str) -> Floats:
        """Returns the elements of a constant float32 tensor."""
        import onnx

        array: Floats = onnx.numpy_helper.to_array(inlined(self._constants[value], self.path))
        return array

    def new_name(self, stem: str) -> str:
        """Returns a name that nothing has yet."""
        number = 0
        while (name := f"{stem}_{number}") in self._taken:
            number += 1
        self._taken.add(name)
        return name

    def add_constant(self, tensor: TensorProto) -> str:
        """Adds a tensor, whose name is new, and returns the name."""
        self.graph.initializer.append(tensor)
        self._constants[tensor.name] = tensor
        self._taken.add(tensor.name)
        self._learn(self.known, tensor)
        return tensor.name

    def users(self, value: str) -> Sequence[NodeProto]:
        """Returns the nodes that take a value, each once."""
        return tuple(self._users[value].values())

    def declared_float(self, value: str) -> bool:
        """Whether a value is an input of the graph, or one that it has a type of, and float32."""
        return value in self._floats

    def is_fused(self, value: str) -> bool:
        """Whether a fused operator that has been put in makes a value; all of them compute in float32."""
        return value in self._makers and id(self._makers[value]) in self._kinds

    def insert(self, node: NodeProto) -> None:
        """Puts a node in that computes something new, behind the last of those that it takes from."""
        places = [self._order.place[id(self._makers[name])] for name in node.input if name in self._makers]
        self._added.append(node)
        self._put_in(node, max(places, default=0))

    def replace(self, new: Sequence[NodeProto], kind: str, *, counted: NodeProto | None = None) -> bool:
        """Puts nodes in for those that made what they make; whatever leads nowhere thereby goes too.

        It does not where they take what is computed from something that they make: the graph would be a circle.

        Args:
            new: the nodes, in order.
            kind: the operator that they are counted as; nothing for nodes that are no fused operator.
            counted: the node by which they are counted, for as long as it stays; if not the last.

        Returns:
            whether it did.
        """
        made = {name for node in new for name in node.output if name}
        old = {id(self._makers[name]): self._makers[name] for name in made if name in self._makers}
        if self._order.is_circle(new, old):
            self.near["a pattern that takes what is computed from something it makes"] += 1
            return False
        self.changed = True
        place = max(self._order.place[each] for each in old)
        for node in old.values():
            self._take_out(node)
        for node in new:
            self._put_in(node, place)
        for node in old.values():
            self._discard_unused(reads(node))
        if kind:
            self._kinds[id(new[-1] if counted is None else counted)] = kind
            self.fused[kind] += 1
        return True

    def _put_in(self, node: NodeProto, place: int) -> None:
        self._slots[place].append(node)
        self._makers.update({name: node for name in node.output if name})
        self._count(node)
        self._taken.update(node.output)
        self._order.put(node, place)
        self.known.follow(node)

    def bypass(self, node: NodeProto) -> None:
        """Takes out a node that gives its input as it is; the output is none of the graph's."""
        for user in list(self._users[node.output[0]].values()):
            self._uncount(user)
            rename_reads(user, {node.output[0]: node.input[0]})
            self._count(user)
        self._take_out(node)
        self.changed = True

    def write(self) -> None:
        """Writes the nodes back, and takes out what is said about values that are no more."""
        for node in self._added[::-1]:  # what was put in for a pattern that was none in the end
            if self.has(node) and all(self.is_unused(name) for name in node.output):
                self._take_out(node)
        if self.changed:
            replace_all(self.graph.node, [node for slot in self._slots for node in slot])
            kept = [entry for entry in self.graph.value_info if self._is_there(entry)]
            replace_all(self.graph.value_info, kept)

    def _is_there(self, entry: ValueInfoProto) -> bool:
        return entry.name in self._makers or entry.name in self._constants

    def _take_out(self, node: NodeProto) -> None:
        place = self._order.place.pop(id(node))
        if id(node) in self._kinds:
            self.fused[self._kinds.pop(id(node))] -= 1
        self._slots[place] = [each for each in self._slots[place] if each is not node]
        for name in node.output:
            if self._makers.get(name) is node:
                del self._makers[name]
        self._uncount(node)

    def _discard_unused(self, values: Iterable[str]) -> None:
        ahead = list(values)
        while ahead:
            node = self._makers.get(ahead.pop())
            if node is not None and not any(self._users[name] or name in self._outputs for name in node.output):
                self._take_out(node)
                ahead += reads(node)

    def _uncount(self, node: NodeProto) -> None:
        for name in reads(node):
            self._users[name].pop(id(node), None)

    def _count(self, node: NodeProto) -> None:
        for name in reads(node):
            self._users[name][id(node)] = node

    def _constants_outside(self, inner: GraphProto) -> dict[str, TensorProto]:
        """Returns the constants that a graph inside this one sees, where it has no value of the same name."""
        own = {name for node in inner.node for name in node.output} | {entry.name for entry in inner.input}
        return {name: tensor for name, tensor in self._constants.items() if name not in own}

    def _learn(self, known: Shapes, tensor: TensorProto) -> None:
        import onnx

        known.shapes[tensor.name] = tuple(tensor.dims)
        small = len(tensor.dims) <= 1 and math.prod(tensor.dims) <= LONGEST
        if small and tensor.data_type in (*WHOLE, BOOL):
            numbers = onnx.numpy_helper.to_array(inlined(tensor, self.path)).reshape(-1)
            known.contents[tensor.name] = tuple(int(number) for number in numbers)

    def _followed(self) -> Shapes:
        own = {name for node in self.graph.node for name in node.output} | {e.name for e in self.graph.input}
        around = self._outer.known if self._outer else Shapes({}, {})
        known = Shapes(
            {name: shape for name, shape in around.shapes.items() if name not in own},
            {name: content for name, content in around.contents.items() if name not in own},
        )
        scope = "" if self._outer is None else f"{self.graph.name}/"
        for entry in self.graph.input:
            if entry.type.tensor_type.HasField("shape"):
                known.shapes[entry.name] = declared(entry, scope)
        for tensor in self._constants.values():
            self._learn(known, tensor)
        for node in self.graph.node:
            known.follow(node)
        return known
