"""Attention, written out as two matrix products around a softmax, becomes the runtime's operator.

Vaswani et al., "Attention Is All You Need" (arXiv 1706.03762): softmax(scale * Q K^T + mask) V for every head. Where several
heads of the query share one of the keys (Ainslie et al., "GQA", arXiv 2305.13245), that is not repeated any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from olivelike_passes.graph.fusion.attention_operators import Attention, mask_shape, put_attention
from olivelike_passes.graph.fusion.build import fused_node, onnx_vector
from olivelike_passes.graph.fusion.dims import times
from olivelike_passes.graph.fusion.floats import is_float
from olivelike_passes.graph.fusion.heads import (
    DEEP,
    SPLIT,
    heads_of,
    keys_of,
)
from olivelike_passes.graph.fusion.net import Net
from olivelike_passes.graph.fusion.nodes import whole, wholes
from olivelike_passes.graph.fusion.sizes import Sizes

if TYPE_CHECKING:
    from onnx import NodeProto

LAST_AXIS_OPSET = 13
"""From this opset on a softmax without an axis is over the last one."""
SMALLEST, LARGEST = 2.0**-126, 2.0**127
"""Scales that the operators take as they are: 0, to which float32 rounds smaller ones, is their word for a default."""


def fuse_attention(net: Net) -> None:
    """Puts `MultiHeadAttention` or `GroupQueryAttention` in for attentions that are written out."""
    sizes = Sizes(net)
    for softmax in net.nodes("Softmax"):
        found = _attention(net, softmax) if net.has(softmax) else None
        if found is None:
            continue
        reason = _mismatch(net, found)
        if reason:
            net.near[reason] += 1
            continue
        put_attention(net, sizes, found)


def _attention(net: Net, softmax: NodeProto) -> Attention | None:
    """Returns the attention around a softmax; None, and perhaps a reason among the near ones, where there is none."""
    shape = net.shape(softmax.input[0])
    axis = whole(softmax, "axis", -1 if net.opset >= LAST_AXIS_OPSET else 1)
    if shape is None or len(shape) != 4 or axis not in (-1, 3):
        return None
    scores = _scores(net, softmax.input[0])
    used = _used(net, softmax)
    if scores is None or used is None:
        return None
    product, scale, mask = scores
    (query, by), (keys, also_by) = _unscaled(net, product.input[0]), _unscaled(net, product.input[1])
    guarded, weighted = used
    heads = heads_of(net, query), keys_of(net, keys), heads_of(net, weighted.input[1])
    end = joined(net, weighted.output[0])
    if heads[0] is None or heads[1] is None or heads[2] is None or end is None:
        net.near["a softmax between two products whose heads are not split as known, or sizes not known"] += 1
        return None
    return Attention(heads[0], heads[1], heads[2], scale * by * also_by, mask, guarded, end)


def _scores(net: Net, value: str) -> tuple[NodeProto, float, str] | None:
    """Returns the product of queries and keys that a softmax is taken of, its scale and the mask added to it."""
    add = net.inner(value, "Add")
    for scores, mask in ((value, ""),) if add is None else (tuple(add.input), tuple(add.input)[::-1]):
        if net.is_inner(scores):
            source, scale = _unscaled(net, scores, only_inner=True)
            product = net.inner(source, "MatMul")
            if product is not None:
                return product, scale, mask
    return None


def _unscaled(net: Net, value: str, *, only_inner: bool = False) -> tuple[str, float]:
    """Returns what a value is a multiple of, and how many times it."""
    node = net.maker(value, "Mul", "Div")
    found = None if node is None else net.with_number(node)
    if node is None or found is None or (only_inner and not net.is_inner(value)):
        return value, 1.0
    other, number = found
    if node.op_type == "Mul":
        return other, number
    return (other, 1 / number) if number and other == node.input[0] else (value, 1.0)


def _used(net: Net, softmax: NodeProto) -> tuple[bool, NodeProto] | None:
    """Returns whether weights that are no number become 0, and the product of the weights with the values."""
    weights = softmax.output[0]
    product = net.taker(weights, "MatMul")
    if product is not None:
        return (False, product) if product.input[0] == weights else None
    users = {node.op_type: node for node in net.users(weights)}
    where = users.get("Where")
    if users.keys() != {"IsNaN", "Where"} or where is None or len(net.users(weights)) != 2 or net.is_output(weights):
        return None
    if where.input[0] != users["IsNaN"].output[0] or where.input[2] != weights or net.number(where.input[1]) != 0:
        return None
    product = net.taker(where.output[0], "MatMul")
    return (True, product) if product is not None and product.input[0] == where.output[0] else None


def joined(net: Net, value: str) -> NodeProto | None:
    """Returns the node that puts the heads of a result together again."""
    shape = net.shape(value)
    node = _next(net, value, "Transpose", "Reshape")
    if node is not None and node.op_type == "Reshape" and net.shape(node.output[0]) == shape:
        node = _next(net, node.output[0], "Transpose")
    if shape is None or node is None or wholes(node, "perm") != SPLIT:
        return None
    batch, count, length, size = shape
    end = _next(net, node.output[0], "Reshape")
    if end is None or not isinstance(count, int) or not isinstance(size, int):
        return None
    if net.shape(end.output[0]) == (times(batch, length), count * size):
        return _before_flat(net, end, count * size)
    return end if net.shape(end.output[0]) == (batch, length, count * size) else None


def _before_flat(net: Net, end: NodeProto, width: int) -> NodeProto:
    """Returns a node that joins heads and leaves batch and length apart, put before one that makes them one axis."""
    shape, made = net.new_name("fuse/shape"), net.new_name(f"{end.output[0]}_joined")
    net.add_constant(onnx_vector(shape, [0, 0, width]))
    joining = fused_node("Reshape", [end.input[0], shape], [made], made, "")
    net.insert(joining)
    flat = fused_node("Reshape", [made, end.input[1]], list(end.output), end.name, "")
    flat.attribute.extend(end.attribute)
    net.replace([flat], "")
    return joining


def _next(net: Net, value: str, *kinds: str) -> NodeProto | None:
    """Returns the one node that takes a value, beside some that read its shape for that node alone."""
    users = [node for node in net.users(value) if node.op_type != "Shape"]
    node = net.user(value, *kinds) if len(users) == 1 else None
    if node is None or len(net.users(value)) == 1:
        return node
    ahead = [name for user in net.users(value) if user.op_type == "Shape" for name in user.output]
    for _ in range(DEEP * 4):
        if not ahead:
            return node
        taken = ahead.pop()
        if net.is_output(taken):
            return None
        ahead += [name for user in net.users(taken) if user is not node for name in user.output]
    return None


def _mismatch(net: Net, found: Attention) -> str:
    """Returns why an attention is none that the runtime's operators compute, or nothing.

    That there are as many values as keys is what the product of weights and values says.
    """
    query, key, value = found.query, found.key, found.value
    if not (query.batch == key.batch == value.batch and query.count == key.count == value.count):
        return "an attention whose queries, keys and values are not known to have the same batch and heads"
    if query.size != key.size:
        return "an attention whose queries and keys are not known to have heads of one size"
    if not SMALLEST <= found.scale <= LARGEST:
        return "an attention whose scores are multiplied by a number that is not above 0 and finite"
    # Products have one type: what is known of one value holds for all of them.
    if not any(is_float(net, each.whole or each.value) for each in (query, key, value)):
        return "an attention that is not known to be of float32"
    if found.mask and mask_shape(net, found) is None:
        return "an attention whose mask has no known shape, or one for other heads"
    return ""
