"""The operators for attention: which of them computes one that was found, and with which inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isinf
from typing import TYPE_CHECKING

from olivelike_passes.graph.fusion.build import MICROSOFT, add_integers, fused_node
from olivelike_passes.graph.fusion.dims import Dim, Shape
from olivelike_passes.graph.fusion.heads import Cached, Heads, cached, plain, unshared
from olivelike_passes.graph.fusion.net import Net
from olivelike_passes.graph.fusion.sizes import Sizes

if TYPE_CHECKING:
    from onnx import NodeProto

ATTENTION_OPSET = 23
WHOLE_WORDS = 8
"""`GroupQueryAttention` takes heads whose size is a multiple of this."""


@dataclass(frozen=True, slots=True)
class Attention:
    """An attention as the graph writes it out.

    Attributes:
        query, key, value: with their heads apart, keys and values repeated if the graph repeats them.
        scale: what the products of queries and keys are multiplied by.
        mask: what is added to them then; empty where nothing is.
        guarded: whether weights that are no number become 0.
        end: the node that makes the result, heads put together again: [batch, length, heads * size].
    """

    query: Heads
    key: Heads
    value: Heads
    scale: float
    mask: str
    guarded: bool
    end: NodeProto


@dataclass(frozen=True, slots=True)
class _Operator:
    """One of the runtime's operators: its type, inputs and attributes that are integers."""

    kind: str
    inputs: Sequence[str]
    numbers: Mapping[str, int]
    domain: str = MICROSOFT


def put_attention(net: Net, sizes: Sizes, found: Attention) -> None:
    """Puts an operator in for an attention: ONNX's own from opset 23 on, before that one of the runtime's."""
    keys, values = unshared(net, found.key), unshared(net, found.value)
    shared = keys is not None and values is not None and _but_length(keys) == _but_length(values)
    sizes.learn(found.query)
    if net.opset >= ATTENTION_OPSET and _is_known_to_standard(net, found):
        pair = (keys, values) if keys is not None and values is not None and shared else (found.key, found.value)
        _put_standard(net, sizes, found, *_kept(net, found, *pair))
    elif keys is not None and values is not None and shared:
        _put_shared(net, sizes, found, keys, values)
    else:
        _put_multi_head(net, sizes, found)


def _is_known_to_standard(net: Net, found: Attention) -> bool:
    """Whether ONNX's `Attention` computes the same for queries that see no key.

    The runtime gives them 0 (ONNX Runtime 1.32), whereas a softmax over finite numbers gives them the mean of all values.
    """
    return not found.mask or (found.guarded and _fills(net, found.mask) == {0.0, -inf})


def _put_standard(net: Net, sizes: Sizes, found: Attention, keys: Cached, values: Cached) -> None:
    """Puts ONNX's `Attention` in, which knows shared and earlier keys; it is fastest where heads are not split before it."""
    query = found.query
    if keys.past:
        sizes.learn_total(found.key.length, keys.past, keys.new)
    else:
        sizes.learn(keys.new)
    inputs = [sizes.together(each) for each in (query, keys.new, values.new)]
    inputs += [_mask(net, sizes, found), keys.past, values.past]
    made = [found.end.output[0], *((keys.both, values.both) if keys.past else ())]
    numbers = {"q_num_heads": query.count, "kv_num_heads": keys.new.count}
    _put(net, sizes, found, _Operator("Attention", inputs, numbers, ""), made)


def _put_multi_head(net: Net, sizes: Sizes, found: Attention) -> None:
    query, key, value = found.query, found.key, found.value
    sizes.learn(query)
    sizes.learn(key)
    whole_ones = key.whole and value.whole
    if not whole_ones and not (key.value and value.value):
        net.near["an attention whose keys are split from one value, and whose values are not"] += 1
        return
    pair = [key.whole, value.whole] if whole_ones else [key.value, value.value]
    inputs = [sizes.together(query), *pair, "", "", _mask(net, sizes, found)]
    _put(net, sizes, found, _Operator("MultiHeadAttention", inputs, {"num_heads": query.count}), [found.end.output[0]])


def _but_length(heads: Heads) -> tuple[Dim, int, int]:
    return (heads.batch, heads.count, heads.size)


def _put_shared(net: Net, sizes: Sizes, found: Attention, keys: Heads, values: Heads) -> None:
    """Puts an operator in for an attention in which several heads of the query share one of the keys."""
    kept = _kept(net, found, keys, values)
    new = [each.new for each in kept]
    split = all(each.whole for each in new) and _but_length(new[0]) == _but_length(new[1])
    fits = split and new[0].length == new[1].length == found.query.length and keys.size % WHOLE_WORDS == 0
    if fits and _is_batch_for_grouped(found.query, bool(kept[0].past)):
        _put_grouped(net, sizes, found, keys, kept)
    else:
        _put_stacked(net, sizes, found, keys, values)


def _is_batch_for_grouped(query: Heads, past: bool) -> bool:
    """Whether `GroupQueryAttention` takes a batch: one of 0 sequences ends the process (ONNX Runtime 1.32 divides by it).

    Several new tokens after earlier ones it takes for a batch of one sequence only.
    """
    return isinstance(query.batch, int) and query.batch > 0 and (not past or query.batch == 1 or query.length == 1)


def _kept(net: Net, found: Attention, keys: Heads, values: Heads) -> tuple[Cached, Cached]:
    others = [found.query.whole, found.query.value, found.mask]
    kept = tuple(cached(net, each, [name for name in others if name], found.end) for each in (keys, values))
    both = bool(kept[0].past) == bool(kept[1].past)
    return (kept[0], kept[1]) if both else (Cached("", keys, keys.value), Cached("", values, values.value))


def _put_grouped(net: Net, sizes: Sizes, found: Attention, keys: Heads, kept: tuple[Cached, Cached]) -> None:
    """Puts `GroupQueryAttention` in, which takes what is kept of earlier tokens apart from the new, and gives both joined.

    It would hide later keys from earlier queries, and does not where `causal` is 0: the mask says all. It takes sequences of
    several lengths; here all have the length of the batch, and the mask hides what is padded.
    """
    query = found.query
    sizes.learn(query)
    if kept[0].past:
        sizes.learn_total(keys.length, kept[0].past, kept[0].new)
    lengths = sizes.lengths(query.batch, keys.length)
    inputs = [sizes.together(query), *(each.new.whole for each in kept), *(each.past for each in kept)]
    inputs += [*lengths, "", "", "", _mask(net, sizes, found)]
    made = [each.both if each.past else net.new_name(f"{found.end.output[0]}_kept") for each in kept]
    numbers = {"num_heads": query.count, "kv_num_heads": keys.count, "causal": 0}
    _put(net, sizes, found, _Operator("GroupQueryAttention", inputs, numbers), [found.end.output[0], *made])


def _put_stacked(net: Net, sizes: Sizes, found: Attention, keys: Heads, values: Heads) -> None:
    """Puts `MultiHeadAttention` in, the queries that share a head of the keys stacked as if they came after one another."""
    query, result = found.query, found.end.output[0]
    sizes.learn(query)
    sizes.learn(keys)
    times = query.count // keys.count
    whole_query = sizes.together(query)
    mask = _mask(net, sizes, found)
    inputs = [sizes.stacked(whole_query, keys.count, times, query.size), keys.value, values.value, "", ""]
    shape = mask_shape(net, found) if mask else None
    if shape is not None:
        mask = sizes.tiled(mask, times) if shape[1] == 1 else sizes.regrouped(mask, keys.count)
    inputs.append(mask)
    made = net.new_name(f"{result}_stacked")
    after = sizes.unstacked(made, result, found.end.name, keys.count, times, values.size)
    _put(net, sizes, found, _Operator("MultiHeadAttention", inputs, {"num_heads": keys.count}), [made], after)


def _put(
    net: Net, sizes: Sizes, found: Attention, operator: _Operator, outputs: list[str], after: Sequence[NodeProto] = ()
) -> None:
    """Puts an operator in, and what is to be done with its first output after it."""
    # Rows without a weight that is a number give numbers that are none: they become 0 as their weights did before.
    guard = found.guarded and not _is_finite(net, found.mask)
    made = net.new_name(f"{outputs[0]}_unguarded") if guard else outputs[0]
    name = net.new_name(f"fuse/{operator.kind}") if after or guard else found.end.name
    node = fused_node(operator.kind, operator.inputs, [made, *outputs[1:]], name, operator.domain, scale=found.scale)
    add_integers(node, operator.numbers)
    guards = sizes.zero_for_nan(made, outputs[0]) if guard else []
    net.replace([node, *guards, *after], operator.kind, counted=node)


def _mask(net: Net, sizes: Sizes, found: Attention) -> str:
    """Returns the mask as the operators take it: with four axes, the last two in full.

    Where a size is not known to fit, the mask is expanded to it: that is what the addition did, or it would have failed.
    """
    shape = mask_shape(net, found) if found.mask else None
    if shape is None:
        return ""
    batch = shape[0] if shape[0] in (1, found.query.batch) else found.query.batch
    wanted = (batch, found.query.length, found.key.length)
    fits = net.shape(found.mask) == (batch, shape[1], *wanted[1:])
    return found.mask if fits else sizes.expanded(found.mask, wanted)


def mask_shape(net: Net, found: Attention) -> Shape | None:
    """Returns the shape of a mask with four axes; None where it is not known, or has heads that are others."""
    shape = net.shape(found.mask)
    if shape is None or len(shape) > 4:
        return None
    shape = (1,) * (4 - len(shape)) + shape
    return shape if shape[1] in (1, found.query.count) else None


def _is_finite(net: Net, mask: str) -> bool:
    """Whether a mask is known to hold finite numbers, so that a softmax of finite scores is a number everywhere."""
    fills = _fills(net, mask)
    return not mask or (bool(fills) and not any(isinf(fill) for fill in fills))


def _fills(net: Net, mask: str) -> set[float]:
    """Returns the numbers that a mask consists of, where it is a choice of two constants."""
    node = net.maker(plain(net, mask), "Where")
    numbers = [] if node is None else [net.number(name) for name in node.input[1:]]
    known = {number for number in numbers if number is not None}
    return known if len(numbers) == 2 and None not in numbers else set()
