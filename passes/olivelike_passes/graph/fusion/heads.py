"""The heads of an attention: how exporters split a value into them, transpose and repeat them, and put them together again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike_passes.graph.fusion.dims import Dim, Shape, times
from olivelike_passes.graph.fusion.net import Net
from olivelike_passes.graph.fusion.nodes import whole, wholes

if TYPE_CHECKING:
    from onnx import NodeProto

SPLIT = (0, 2, 1, 3)
"""How [batch, length, heads, size] is transposed to [batch, heads, length, size], and back."""
DEEP = 8
MANY = 64


@dataclass(frozen=True, slots=True)
class Heads:
    """A query, key or value with its heads apart.

    Attributes:
        value: float32 [batch, heads, length, size]; empty where the graph has it only transposed otherwise.
        whole: the same before it was split: [batch, length, heads * size]; empty where it is not known.
        shape: batch, heads, length, size; heads and size are numbers.
    """

    value: str
    whole: str
    shape: tuple[Dim, int, Dim, int]

    @property
    def batch(self) -> Dim:
        """How many sequences."""
        return self.shape[0]

    @property
    def count(self) -> int:
        """How many heads."""
        return self.shape[1]

    @property
    def length(self) -> Dim:
        """How long the sequences are."""
        return self.shape[2]

    @property
    def size(self) -> int:
        """How many numbers each head has."""
        return self.shape[3]


@dataclass(frozen=True, slots=True)
class Cached:
    """Keys or values: those of earlier tokens, if any, before those of new ones.

    Attributes:
        past: what is kept from earlier runs: [batch, heads, past length, size]; empty where there is none.
        new: the new ones.
        both: the value that has both.
    """

    past: str
    new: Heads
    both: str


def heads_of(net: Net, value: str) -> Heads | None:
    """Returns a value of four axes as heads: [batch, heads, length, size]."""
    value = plain(net, value)
    shape = _with_numbers(net.shape(value))
    if shape is None:
        return None
    transposed = net.maker(value, "Transpose")
    if transposed is None or wholes(transposed, "perm") != SPLIT:
        return Heads(value, "", shape)
    return Heads(value, _before_split(net, transposed.input[0], shape), shape)


def keys_of(net: Net, value: str) -> Heads | None:
    """Returns a value [batch, heads, size, length], by which a query is multiplied, as heads."""
    value = plain(net, value)
    shape = net.shape(value)
    if shape is None or len(shape) != 4:
        return None
    turned = _with_numbers((shape[0], shape[1], shape[3], shape[2]))
    node = net.maker(value, "Transpose", "Reshape")
    if turned is None or node is None:
        return None
    if node.op_type == "Reshape":
        source = _transposed_flat(net, node.input[0], turned)
        return heads_of(net, source) if source else None
    match wholes(node, "perm"):
        case (0, 1, 3, 2):
            return heads_of(net, node.input[0])
        case (0, 2, 3, 1):
            before = _before_split(net, node.input[0], turned)
            return Heads("", before, turned) if before else None
        case _:
            return None


def unshared(net: Net, heads: Heads) -> Heads | None:
    """Returns what heads were before each was repeated for several heads of the query; None where they are not repeated.

    Exporters write it as `Unsqueeze`, `Expand`, `Reshape`: [batch, heads, 1, length, size] to [batch, heads, times, length,
    size] to [batch, heads * times, length, size].
    """
    joined = net.maker(heads.value, "Reshape")
    expanded = None if joined is None else net.maker(joined.input[0], "Expand")
    apart = None if expanded is None else net.maker(expanded.input[0], "Unsqueeze", "Reshape")
    if joined is None or expanded is None or apart is None:
        return None
    source = heads_of(net, apart.input[0])
    if source is None or heads.count % source.count:
        return None
    batch, count, length, size = source.shape
    repeats = heads.count // count
    steps = (net.shape(expanded.input[0]), net.shape(joined.input[0]), (batch, heads.count, length, size))
    wanted = ((batch, count, 1, length, size), (batch, count, repeats, length, size), heads.shape)
    return source if steps == wanted else None


def cached(net: Net, heads: Heads, others: Collection[str], end: NodeProto) -> Cached:
    """Returns heads as past ones and new ones, where the graph joins the two and an operator can do it instead.

    Args:
        net: the graph.
        heads: keys or values.
        others: what the operator is to take beside them; nothing of it may be computed from the joined heads.
        end: the node whose place it is to take.
    """
    alone = Cached("", heads, heads.value)
    joined = net.maker(heads.value, "Concat")
    if joined is None or whole(joined, "axis", 0) not in (2, -2) or len(joined.input) != 2:
        return alone
    new, past = heads_of(net, joined.input[1]), net.shape(joined.input[0])
    fits = past is not None and (past[0], past[1], past[3]) == (heads.batch, heads.count, heads.size)
    if new is None or not fits or _leads_to(net, heads.value, {*others, *joined.input, new.whole}, end):
        return alone
    return Cached(joined.input[0], new, heads.value)


def _leads_to(net: Net, value: str, others: Collection[str], end: NodeProto) -> bool:
    """Whether any of some values is computed from one, not counting what comes after a node; also if that is a long way."""
    ahead, seen = [value], {value}
    while ahead:
        for node in net.users(ahead.pop()):
            made = [name for name in node.output if name and name not in seen] if node is not end else []
            ahead += made
            seen.update(made)
        if len(seen) > MANY or not seen.isdisjoint(others):
            return True
    return False


def plain(net: Net, value: str) -> str:
    """Returns the value that one is, before operators that leave it as it is."""
    for _ in range(DEEP):
        node = net.maker(value, "Identity", "Reshape", "Expand")
        if node is None or net.shape(value) is None or net.shape(node.input[0]) != net.shape(value):
            break
        value = node.input[0]
    return value


def _with_numbers(shape: Shape | None) -> tuple[Dim, int, Dim, int] | None:
    if shape is None or len(shape) != 4:
        return None
    batch, count, length, size = shape
    return (batch, count, length, size) if isinstance(count, int) and isinstance(size, int) else None


def _before_split(net: Net, value: str, shape: tuple[Dim, int, Dim, int]) -> str:
    """Returns the value [batch, length, heads * size] that one [batch, length, heads, size] was, or nothing."""
    batch, count, length, size = shape
    node = net.maker(plain(net, value), "Reshape")
    fits = node is not None and net.shape(value) == (batch, length, count, size)
    if node is None or not fits or net.shape(node.input[0]) != (batch, length, count * size):
        return ""
    return str(node.input[0])


def _transposed_flat(net: Net, value: str, turned: tuple[Dim, int, Dim, int]) -> str:
    """Returns what was transposed while batch and heads were one axis, as torch's dynamo exporter does it, or nothing."""
    batch, count, length, size = turned
    transposed = net.maker(value, "Transpose")
    flat = None if transposed is None else net.maker(transposed.input[0], "Reshape")
    if transposed is None or flat is None or wholes(transposed, "perm") != (0, 2, 1):
        return ""
    fits = net.shape(flat.output[0]) == (times(batch, count), length, size)
    return str(flat.input[0]) if fits and net.shape(flat.input[0]) == turned else ""
