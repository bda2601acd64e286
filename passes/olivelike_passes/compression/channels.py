"""Which channels of a network stand and fall together: groups of weights that can lose the same channel at once.

A channel that one convolution makes goes through activations, normalizations and additions into others; to take it out, every
weight on the way must lose it. Where that cannot be followed, the channels concerned are pinned: none of them is taken out.
The idea is that of G. Fang et al., "DepGraph: towards any structural pruning", 2023 (arXiv 2301.12900).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from olivelike.onnxfile.wiring import reads
from olivelike_passes.weights import replaceable_weights

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

Shapes: TypeAlias = "Mapping[str, tuple[int | None, ...]]"
KEEPS = frozenset({
    "Abs", "Ceil", "Celu", "Clip", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu",
    "Mish", "Neg", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Tanh", "ThresholdedRelu",
})  # fmt: skip
"""Operators that work on each number by itself, with nothing but their first input to go by (`Clip`: and two numbers)."""
POOLS = frozenset({"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool", "MaxPool"})
"""Operators that work on each channel by itself where channels lie on the second axis; on any other they mix them."""
PAIRS = frozenset({"Add", "Div", "Max", "Min", "Mul", "Sub"})
CHANNEL = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a weight holds a group's channels: channel c fills `block` entries of an axis, from `c * block` on."""

    tensor: str
    axis: int
    block: int = 1


@dataclass(slots=True)
class Group:
    """Channels that must go together.

    Attributes:
        size: how many there are.
        makers: weights whose entries make the channel: its importance is theirs.
        places: all weights that have an entry for each channel, the makers among them.
        depthwise: names of first outputs of convolutions that have as many groups as channels.
    """

    size: int
    makers: set[Place] = field(default_factory=set)
    places: set[Place] = field(default_factory=set)
    depthwise: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Carried:
    """The channels of a value: their group, the axis they lie on, how many entries each fills."""

    group: int
    axis: int
    block: int = 1


def channel_groups(model: ModelProto, shapes: Shapes) -> list[Group]:
    """Returns the groups of channels of the main graph that can be taken out, in the order in which they are made.

    Args:
        model: the model's structure, constants lifted.
        shapes: of its values, as far as they are known.
    """
    follower = _Follower(model, shapes)
    for node in model.graph.node:
        follower.follow(node)
    for output in model.graph.output:
        follower.pin(output.name)
    return follower.groups()


class _Follower:
    def __init__(self, model: ModelProto, shapes: Shapes) -> None:
        left_out = replaceable_weights(model) | {output.name for output in model.graph.output}
        self._weights = {t.name: t for t in model.graph.initializer if t.name not in left_out}
        self._shapes = shapes
        self._groups: list[Group] = []
        self._parent: list[int] = []
        self._pinned: set[int] = set()
        self._carried: dict[str, _Carried] = {}
        self._uses: dict[str, set[tuple[int, int]]] = defaultdict(set)
        self._times = Counter(name for node in model.graph.node for name in reads(node))

    def groups(self) -> list[Group]:
        """Returns the groups that are not pinned, each weight in no more than one place for each axis."""
        self._pin_shared_weights()
        found: dict[int, Group] = {}
        pinned = {self._root(group) for group in self._pinned}
        for index, group in enumerate(self._groups):
            root = self._root(index)
            if root in pinned:
                continue
            whole = found.setdefault(root, Group(self._groups[root].size))
            whole.makers |= group.makers
            whole.places |= group.places
            whole.depthwise |= group.depthwise
        return [group for group in found.values() if group.makers]

    def follow(self, node: NodeProto) -> None:
        """Learns what a node does with channels; one that is not known pins those of all that it reads."""
        rules: Mapping[str, Callable[[NodeProto], bool]] = {
            "Conv": self._conv,
            "Gemm": self._gemm,
            "MatMul": self._matmul,
            "BatchNormalization": self._normalize,
            "Flatten": self._flatten,
            "Reshape": self._reshape,
            **dict.fromkeys(KEEPS, self._keep),
            **dict.fromkeys(POOLS, self._pool),
            **dict.fromkeys(PAIRS, self._pair),
        }
        rule = rules.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if rule is None or not rule(node):
            for name in reads(node):
                self.pin(name)

    def pin(self, value: str) -> None:
        """Says that a value's channels must all stay."""
        if value in self._carried:
            self._pinned.add(self._carried[value].group)

    def _conv(self, node: NodeProto) -> bool:
        weight = self._weights.get(node.input[1])
        if weight is None:
            return False
        split = int(_attribute(node, "group", 1))
        incoming = self._carried.get(node.input[0])
        outputs = int(weight.dims[0])
        if split == 1:
            if incoming is not None and not self._take(incoming, Place(weight.name, 1), weight, CHANNEL):
                return False
            group = self._new(outputs)
        elif split == outputs and weight.dims[1] == 1 and incoming is not None and self._size(incoming) == outputs:
            group = incoming.group
            if incoming.axis != CHANNEL or incoming.block != 1:
                return False
            self._groups[self._root(group)].depthwise.add(node.output[0])
        else:
            return False
        self._make(group, node, Place(weight.name, 0), bias=node.input[2] if len(node.input) > 2 else "")
        self._carried[node.output[0]] = _Carried(group, CHANNEL)
        return True

    def _gemm(self, node: NodeProto) -> bool:
        weight = self._weights.get(node.input[1])
        if weight is None or len(weight.dims) != 2 or _attribute(node, "transA", 0):
            return False
        turned = bool(_attribute(node, "transB", 0))
        return self._linear(node, weight, inputs=1 if turned else 0, bias=node.input[2] if len(node.input) > 2 else "")

    def _matmul(self, node: NodeProto) -> bool:
        weight = self._weights.get(node.input[1])
        return weight is not None and len(weight.dims) == 2 and self._linear(node, weight, inputs=0, bias="")

    def _linear(self, node: NodeProto, weight: TensorProto, *, inputs: int, bias: str) -> bool:
        rank = self._rank(node.input[0])
        incoming = self._carried.get(node.input[0])
        if rank is None:
            return False
        if incoming is not None and not self._take(incoming, Place(weight.name, inputs), weight, rank - 1):
            return False
        if bias and (bias not in self._weights or self._weights[bias].dims[-1:] != [weight.dims[1 - inputs]]):
            return False
        group = self._new(int(weight.dims[1 - inputs]))
        self._make(group, node, Place(weight.name, 1 - inputs), bias=bias)
        self._carried[node.output[0]] = _Carried(group, rank - 1)
        return True

    def _normalize(self, node: NodeProto) -> bool:
        incoming = self._carried.get(node.input[0])
        held = [self._weights.get(name) for name in node.input[1:5]]
        plain = len(list(filter(None, node.output))) == 1 and all(tensor is not None for tensor in held)
        if incoming is None or not plain or incoming.axis != CHANNEL or incoming.block != 1:
            return False
        for tensor in filter(None, held):
            self._put(incoming.group, Place(tensor.name, 0))
        self._carried[node.output[0]] = incoming
        return True

    def _keep(self, node: NodeProto) -> bool:
        if len(list(filter(None, node.output))) > 1:
            return False
        if node.input[0] in self._carried:
            self._carried[node.output[0]] = self._carried[node.input[0]]
        return True

    def _pool(self, node: NodeProto) -> bool:
        incoming = self._carried.get(node.input[0])
        plain = incoming is None or (incoming.axis, incoming.block) == (CHANNEL, 1)
        return plain and self._keep(node)

    def _pair(self, node: NodeProto) -> bool:
        if len(node.input) != 2:
            return False
        one, other = (self._carried.get(name) for name in node.input)
        if one is not None and other is not None:
            same = (one.axis, one.block, self._size(one)) == (other.axis, other.block, self._size(other))
            if not same or self._rank(node.input[0]) != self._rank(node.input[1]):
                return False
            self._unite(one.group, other.group)
        elif one is not None or other is not None:
            carried, partner = (one, node.input[1]) if one is not None else (other, node.input[0])
            if carried is None or not self._beside(carried, partner, node):
                return False
        found = one or other
        if found is not None:
            self._carried[node.output[0]] = found
        return True

    def _beside(self, carried: _Carried, partner: str, node: NodeProto) -> bool:
        """Learns what a constant has for each channel that it is added to, or multiplied with."""
        weight = self._weights.get(partner)
        rank = self._rank(node.output[0])
        if weight is None or rank is None or len(weight.dims) > rank or carried.block != 1:
            return False
        axis = carried.axis - (rank - len(weight.dims))
        if axis >= 0 and weight.dims[axis] != 1:
            self._put(carried.group, Place(weight.name, axis))
        return True

    def _flatten(self, node: NodeProto) -> bool:
        if node.input[0] not in self._carried:
            return True
        incoming, shape = self._carried[node.input[0]], self._shapes.get(node.input[0])
        if incoming.axis != CHANNEL or _attribute(node, "axis", 1) != CHANNEL or shape is None or None in shape[2:]:
            return False
        block = math.prod(dim for dim in shape[2:] if dim is not None)
        self._carried[node.output[0]] = _Carried(incoming.group, CHANNEL, incoming.block * block)
        return True

    def _reshape(self, node: NodeProto) -> bool:
        """A reshape that flattens all but the first axis is a `Flatten`, if it does not count on the number of channels."""
        import onnx

        if node.input[0] not in self._carried:
            return True
        tensor = self._weights.get(node.input[1])
        if tensor is None or list(tensor.dims) != [2] or tensor.data_location == tensor.EXTERNAL:
            return False
        wanted = [int(number) for number in onnx.numpy_helper.to_array(tensor)]
        shape = self._shapes.get(node.input[0]) or ()
        keeps_first = wanted[0] == 0 or (bool(shape) and wanted[0] == shape[0])
        return wanted[1] == -1 and keeps_first and not _attribute(node, "allowzero", 0) and self._flatten(node)

    def _take(self, incoming: _Carried, place: Place, weight: TensorProto, axis: int) -> bool:
        """Learns that a weight sums over a value's channels."""
        if incoming.axis != axis or weight.dims[place.axis] != self._size(incoming) * incoming.block:
            return False
        self._put(incoming.group, Place(place.tensor, place.axis, incoming.block))
        return True

    def _make(self, group: int, node: NodeProto, place: Place, *, bias: str) -> None:
        self._put(group, place)
        self._groups[self._root(group)].makers.add(place)
        if bias in self._weights:
            self._put(group, Place(bias, len(self._weights[bias].dims) - 1))
        elif bias:
            self._pinned.add(group)

    def _put(self, group: int, place: Place) -> None:
        self._groups[self._root(group)].places.add(place)
        self._uses[place.tensor].add((place.axis, group))

    def _new(self, size: int) -> int:
        self._groups.append(Group(size))
        self._parent.append(len(self._groups) - 1)
        return len(self._groups) - 1

    def _size(self, carried: _Carried) -> int:
        return self._groups[self._root(carried.group)].size

    def _root(self, group: int) -> int:
        while self._parent[group] != group:
            self._parent[group] = self._parent[self._parent[group]]
            group = self._parent[group]
        return group

    def _unite(self, one: int, other: int) -> None:
        first, second = sorted((self._root(one), self._root(other)))
        self._parent[second] = first

    def _rank(self, value: str) -> int | None:
        shape = self._shapes.get(value)
        return None if shape is None else len(shape)

    def _pin_shared_weights(self) -> None:
        """Pins the groups of weights that something reads beside what was followed, or that two groups would cut differently."""
        for name, uses in self._uses.items():
            roots: dict[int, set[int]] = defaultdict(set)
            for axis, group in uses:
                roots[axis].add(self._root(group))
            if self._times[name] > 1 or any(len(groups) > 1 for groups in roots.values()):
                self._pinned |= {group for _, group in uses}


def _attribute(node: NodeProto, name: str, default: float) -> float:
    import onnx

    return next((float(onnx.helper.get_attribute_value(a)) for a in node.attribute if a.name == name), default)
