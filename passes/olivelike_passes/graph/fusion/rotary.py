"""Rotary position embedding, written out as two products with a turned half, becomes the runtime's operator.

Su et al., "RoFormer" (arXiv 2104.09864), in the form of Llama: x * cos + (-x[half:], x[:half]) * sin. The operator looks
cosines and sines up by position; here each token gets the row that the graph has computed for it, so that it holds for
every position and every way to scale frequencies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike_passes.graph.fusion.build import fused_node
from olivelike_passes.graph.fusion.floats import is_float
from olivelike_passes.graph.fusion.heads import SPLIT, Heads, heads_of, plain
from olivelike_passes.graph.fusion.net import Net
from olivelike_passes.graph.fusion.nodes import whole
from olivelike_passes.graph.fusion.sizes import Sizes

if TYPE_CHECKING:
    from onnx import NodeProto


@dataclass(frozen=True, slots=True)
class Rotary:
    """A rotation of heads as the graph writes it out.

    Attributes:
        heads: what is rotated.
        angles: what cosine and sine are taken of: [batch or 1, length, half of a head's size].
        end: the node that makes the result, with the shape of the heads.
    """

    heads: Heads
    angles: str
    end: NodeProto


def fuse_rotary(net: Net) -> None:
    """Puts `RotaryEmbedding` in for rotations that are written out."""
    sizes = Sizes(net)
    for add in net.nodes("Add"):
        found = _rotary(net, add) if net.has(add) else None
        if found is None:
            continue
        if not is_float(net, found.heads.whole or found.heads.value):
            net.near["a rotation of heads that are not known to be float32"] += 1
            continue
        sizes.learn(found.heads)
        table = [sizes.rows(found.angles), *sizes.cos_and_sin(found.angles)]
        if net.shape(found.angles) != (found.heads.batch, found.heads.length, found.heads.size // 2):
            table[0] = sizes.repeated(table[0], found.heads.batch)
        _put(net, sizes, found, table)


def _put(net: Net, sizes: Sizes, found: Rotary, table: list[str]) -> None:
    heads, result = found.heads, found.end.output[0]
    if not heads.whole:
        net.replace([fused_node("RotaryEmbedding", [heads.value, *table], [result], found.end.name)], "RotaryEmbedding")
        return
    turned, split = net.new_name(f"{result}_turned"), net.new_name(f"{result}_split")
    node = fused_node("RotaryEmbedding", [heads.whole, *table], [turned], net.new_name("fuse/RotaryEmbedding"))
    shape = sizes.whole_numbers([0, 0, heads.count, heads.size])
    after = [
        fused_node("Reshape", [turned, shape], [split], net.new_name("fuse/Reshape"), ""),
        fused_node("Transpose", [split], [result], found.end.name, "", perm=SPLIT),
    ]
    net.replace([node, *after], "RotaryEmbedding", counted=node)


def _rotary(net: Net, add: NodeProto) -> Rotary | None:
    shape = net.shape(add.output[0])
    products = [net.inner(name, "Mul") for name in add.input]
    if shape is None or len(shape) != 4 or products[0] is None or products[1] is None:
        return None
    for straight, turned in ((products[0], products[1]), (products[1], products[0])):
        for half, sine in (tuple(turned.input), tuple(turned.input)[::-1]):
            value = _unturned(net, half, shape[-1])
            if value and value in straight.input:
                cosine = straight.input[1] if straight.input[0] == value else straight.input[0]
                return _with_angles(net, value, cosine, sine, add)
    return None


def _with_angles(net: Net, value: str, cosine: str, sine: str, end: NodeProto) -> Rotary | None:
    heads = heads_of(net, value)
    angles = [_angles(net, cosine, "Cos"), _angles(net, sine, "Sin")]
    if heads is None or not angles[0] or angles[0] != angles[1]:
        net.near["a rotation whose cosines and sines are not known to be of the same angles"] += 1
        return None
    fitting = [(batch, heads.length, heads.size // 2) for batch in (heads.batch, 1)]
    return Rotary(heads, angles[0], end) if net.shape(angles[0]) in fitting else None


def _unturned(net: Net, value: str, size: object) -> str:
    """Returns the value whose second half, negated, and first half another consists of, or nothing."""
    joined = net.inner(value, "Concat")
    if joined is None or not isinstance(size, int) or whole(joined, "axis", 0) not in (-1, 3) or len(joined.input) != 2:
        return ""
    negated = net.inner(joined.input[0], "Neg")
    parts = None if negated is None else (_part(net, joined.input[1]), _part(net, negated.input[0]))
    if parts is None:
        return ""
    (first, *where), (second, *where_too) = parts
    halves = [[0, size // 2], [size // 2, size]]
    return first if first == second and size % 2 == 0 and [where, where_too] == halves else ""


def _part(net: Net, value: str) -> tuple[str, int, int]:
    """Returns of which value another is a part of the last axis, from where and up to where; of nothing if it is none."""
    node = net.maker(value, "Slice", "Split")
    size = None if node is None else net.last(node.input[0])
    if node is None or not isinstance(size, int):
        return "", 0, 0
    if node.op_type == "Split":
        sizes = [net.last(name) for name in node.output]
        place = list(node.output).index(value)
        if whole(node, "axis", 0) not in (-1, 3) or not all(isinstance(each, int) for each in sizes):
            return "", 0, 0
        ends = [sum(each for each in sizes[:upto] if isinstance(each, int)) for upto in (place, place + 1)]
        return node.input[0], ends[0], ends[1]
    contents = [net.known.contents.get(name) for name in node.input[1:4]]
    if len(contents) < 3 or contents[2] not in ((-1,), (3,)) or contents[0] is None or contents[1] is None:
        return "", 0, 0
    start, end = contents[0][0], contents[1][0]
    if (
        not isinstance(start, int)
        or not isinstance(end, int)
        or (len(node.input) > 4 and not _is_one(net, node.input[4]))
    ):
        return "", 0, 0
    places = range(size)[start:end]
    return node.input[0], places.start, places.stop


def _is_one(net: Net, value: str) -> bool:
    return net.known.contents.get(value) == (1,)


def _angles(net: Net, value: str, function: str) -> str:
    """Returns the angles, [batch, length, half], whose cosines or sines a value [batch, 1, length, size] holds twice over."""
    apart = net.maker(plain(net, value), "Unsqueeze")
    shape = net.shape(value)
    if apart is None or shape is None or len(shape) != 4 or shape[1] != 1 or len(net.shape(apart.input[0]) or ()) != 3:
        return ""
    node = net.maker(_times_one(net, apart.input[0]), function)
    twice = None if node is None else net.maker(node.input[0], "Concat")
    if (
        twice is None
        or whole(twice, "axis", 0) not in (-1, 2)
        or len(twice.input) != 2
        or twice.input[0] != twice.input[1]
    ):
        return ""
    return str(twice.input[0])


def _times_one(net: Net, value: str) -> str:
    """Returns a value before a product with 1, in which Llama's exports end where nothing scales the cosines."""
    node = net.maker(value, "Mul")
    found = None if node is None else net.with_number(node)
    return value if found is None or found[1] != 1 else found[0]
