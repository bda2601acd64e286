"""The embeddings of words, positions and segments, their sum and its normalization become one operator.

Devlin et al., "BERT" (arXiv 1810.04805), section 3: the input representation is the sum of three embeddings. The operator
takes the positions 0, 1, 2, ... where it is not given others. Its three tables may change places: a sum has no order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from olivelike.onnxfile.tensors import inlined
from olivelike_passes.graph.fusion.build import add_integers, fused_node, onnx_vector
from olivelike_passes.graph.fusion.content_rules import WHOLE
from olivelike_passes.graph.fusion.dims import Shape, together
from olivelike_passes.graph.fusion.net import FLOAT, Net
from olivelike_passes.graph.fusion.nodes import real, whole
from olivelike_passes.graph.fusion.skip_norms import EPSILON, is_over_vectors

if TYPE_CHECKING:
    from onnx import NodeProto

INT32 = 6
MOST = 3
"""So many tables the operator has."""
LONGEST = 2**17
"""Constant positions are read up to this many."""
FAR = 8
COMPUTED = ("Add", "Mul", "Sub", "Cast", "CumSum", "Where", "Unsqueeze", "Expand", "Slice")
"""Operators that positions end with, and ids of words do not."""
SAME_ROWS = ("Unsqueeze", "Squeeze", "Reshape", "Expand", "Cast", "Identity")
"""Operators that leave rows as they are, if the last axis stays as long as it is."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """A `Gather` of rows of a constant table.

    Attributes:
        table: float32 [rows, width].
        ids: which rows, whole numbers.
        shape: of the ids.
    """

    table: str
    ids: str
    shape: Shape


def fuse_embeddings(net: Net) -> None:
    """Puts `EmbedLayerNormalization` in for sums of two or three embeddings that are normalized."""
    for norm in net.nodes("LayerNormalization"):
        terms = _terms(net, norm.input[0])
        gathers = [net.maker(term, "Gather") for term in terms]
        others = [term for term, made in zip(terms, gathers, strict=True) if made is None and not net.constant(term)]
        if len(terms) < 2 or others or not any(gathers):
            continue
        lookups = [None if gather is None else _lookup(net, gather) for gather in gathers]
        reason = _put_in(net, norm, [each for each in lookups if each is not None], len(terms))
        if reason:
            net.near[reason] += 1


def _terms(net: Net, value: str, depth: int = MOST) -> list[str]:
    """Returns what a value is the sum of; sums that others take too are not taken apart, but for the whole."""
    add = net.maker(value, "Add") if depth == MOST else net.inner(value, "Add")
    if add is None or not depth:
        return [value]
    return [term for name in add.input for term in _terms(net, name, depth - 1)]


def _lookup(net: Net, gather: NodeProto) -> Lookup | None:
    table, shape = net.constant(gather.input[0]), net.shape(gather.input[1])
    if table is None or table.data_type != FLOAT or len(table.dims) != 2 or whole(gather, "axis", 0) not in (0, -2):
        return None
    return None if shape is None else Lookup(gather.input[0], gather.input[1], shape)


def _put_in(net: Net, norm: NodeProto, found: Sequence[Lookup], count: int) -> str:
    """Puts the operator in, or returns why it cannot stand for the lookups, of so many terms, and their normalization."""
    if len(found) != count or count > MOST:
        return "a normalized sum of embeddings of which one is no lookup in a constant float32 table, or of more than three"
    if len({net.last(each.table) for each in found}) > 1 or not is_over_vectors(net, norm) or len(norm.input) < 3:
        return "a normalized sum of embeddings whose normalization is not over their width, with a weight and a bias"
    arranged = _arranged(net, found)
    if arranged is None:
        return "a normalized sum of embeddings whose ids are not known to have one shape [batch, length]"
    word, position, segment = arranged
    positions = "" if _counts_up(net, position.ids) else _as_int32(net, _in_pairs(net, position))
    inputs = [
        *(_as_int32(net, word.ids), "" if segment is None else _as_int32(net, segment.ids)),
        *(word.table, position.table, "" if segment is None else segment.table),
        *(norm.input[1], norm.input[2], "", positions),
    ]
    total = "" if net.is_inner(norm.input[0]) else norm.input[0]
    kind = "EmbedLayerNormalization"
    node = fused_node(kind, inputs, [norm.output[0], "", total], norm.name, epsilon=real(norm, "epsilon", EPSILON))
    add_integers(node, {"mask_index_type": 0})  # or the runtime infers a type of an output that there is not
    net.replace([node], kind)
    return ""


def _arranged(net: Net, found: Sequence[Lookup]) -> tuple[Lookup, Lookup, Lookup | None] | None:
    """Returns the embeddings of words, of positions and, if there are three, of segments.

    Positions are those that count up, else those that are the same for the whole batch, else computed ones.
    """

    def unlikely(each: Lookup) -> tuple[bool, bool, bool]:
        computed = net.maker(each.ids, *COMPUTED) is not None
        return not _counts_up(net, each.ids), len(each.shape) == 2 and each.shape[0] != 1, not computed

    for position in sorted(found, key=unlikely):
        others = [each for each in found if each is not position]
        shapes = {each.shape for each in others}
        if len(shapes) == 1 and _are_positions(position.shape, shapes.pop()):
            return others[0], position, (others[1] if len(others) > 1 else None)
    return None


def _are_positions(shape: Shape, words: Shape) -> bool:
    """Whether ids of a shape are one for every place of the words, of shape [batch, length], or of any sequence of them."""
    if len(words) != 2 or len(shape) not in (1, 2) or (len(shape) == 2 and shape[0] not in (1, words[0])):
        return False
    # Positions cut off at a table's length are as many as there are words: the sum would fail otherwise.
    cut_off = isinstance(shape[-1], tuple) and not isinstance(words[1], int)
    return shape[-1] == words[1] or (cut_off and together(words[1], shape[-1]) == words[1])


def _counts_up(net: Net, value: str) -> bool:
    """Whether every row of a value is known to be 0, 1, 2, ..."""
    for _ in range(FAR):
        if net.constant(value) is not None:
            return _is_constant_count(net, value)
        node = net.maker(value, *SAME_ROWS, "Slice", "Range")
        if node is None:
            return False
        if node.op_type == "Range":
            start, _, step = (net.known.contents.get(name) for name in node.input)
            return start == (0,) and step == (1,)
        if node.op_type == "Slice":
            if not _cuts_ends_off(net, node):
                return False
        elif node.op_type == "Cast" and whole(node, "to", 0) not in WHOLE:
            return False  # a short type holds no large position
        elif net.last(node.input[0]) is None or net.last(node.input[0]) != net.last(value):
            return False
        value = node.input[0]
    return False


def _cuts_ends_off(net: Net, node: NodeProto) -> bool:
    """Whether a slice begins with the first, leaves none out, and is of one axis."""
    starts, axes, steps = (
        net.known.contents.get(node.input[place]) if len(node.input) > place else None for place in (1, 3, 4)
    )
    return starts == (0,) and axes is not None and len(axes) == 1 and (len(node.input) < 5 or steps == (1,))


def _is_constant_count(net: Net, value: str) -> bool:
    import numpy as np
    import onnx

    tensor = net.constant(value)
    if tensor is None or tensor.data_type not in WHOLE or not tensor.dims or not 0 < prod(tensor.dims) <= LONGEST:
        return False
    rows = onnx.numpy_helper.to_array(inlined(tensor, net.path)).reshape(-1, tensor.dims[-1])
    return bool((rows == np.arange(tensor.dims[-1])).all())


def _in_pairs(net: Net, position: Lookup) -> str:
    """Returns ids of positions with two axes, as the operator takes them."""
    if len(position.shape) == 2:
        return position.ids
    axes = net.add_constant(onnx_vector(net.new_name("fuse/constant"), [0]))
    return _insert(net, "Unsqueeze", [position.ids, axes])


def _as_int32(net: Net, ids: str) -> str:
    given = next((entry for entry in net.graph.input if entry.name == ids), None)
    if given is not None and given.type.tensor_type.elem_type == INT32:
        return ids
    cast = net.maker(ids, "Cast")
    if cast is not None and whole(cast, "to", 0) == INT32:
        return ids
    return _insert(net, "Cast", [ids], to=INT32)


def _insert(net: Net, kind: str, inputs: Sequence[str], **attributes: int) -> str:
    made = net.new_name(f"fuse/{kind}")
    net.insert(fused_node(kind, inputs, [made], made, "", **attributes))
    return made
