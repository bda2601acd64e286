"""ONNX's own `Attention` takes heads as they were before exporters split, repeated and joined them for it.

torch's dynamo exporter writes it from opset 23 on, with everything that it does for itself written out around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike_passes.graph.fusion.attention import joined
from olivelike_passes.graph.fusion.build import add_integers, fused_node
from olivelike_passes.graph.fusion.heads import Cached, Heads, cached, heads_of, unshared
from olivelike_passes.graph.fusion.net import Net
from olivelike_passes.graph.fusion.nodes import whole

if TYPE_CHECKING:
    from onnx import NodeProto

OWN = ("q_num_heads", "kv_num_heads")
MASK = 3


@dataclass(frozen=True, slots=True)
class _Taken:
    """What an `Attention` is computed from: the query's heads, keys and values as they were before they were repeated."""

    query: Heads
    keys: Cached
    values: Cached

    @property
    def wholes(self) -> list[str]:
        """The three values before their heads were split; an empty one where it is not known."""
        return [self.query.whole, self.keys.new.whole, self.values.new.whole]

    @property
    def apart(self) -> list[str]:
        """The three values with their heads apart."""
        return [self.query.value, self.keys.new.value, self.values.new.value]


def fuse_standard_attention(net: Net) -> None:
    """Gives every `Attention` what its heads were split, repeated and joined with earlier ones from, and does that in it."""
    for node in net.nodes("Attention"):
        taken = _taken(net, node)
        end = joined(net, node.output[0]) if taken is not None and all(taken.wholes) else None
        if taken is not None and (end is not None or taken.apart != list(node.input[:MASK])):
            _put(net, node, taken, end)


def _taken(net: Net, node: NodeProto) -> _Taken | None:
    if len(node.output) > 1 or len(node.input) > MASK + 1:
        return None  # it keeps keys and values itself, or gives the products as well
    query, key, value = (heads_of(net, name) for name in node.input[:MASK])
    if query is None or key is None or value is None:
        return None
    keys, values = unshared(net, key), unshared(net, value)
    if keys is None or values is None or keys.count != values.count:
        keys, values = key, value
    others = [name for name in (query.whole, query.value, *node.input[MASK:]) if name]
    kept = cached(net, keys, others, node), cached(net, values, others, node)
    # Which keys are later ones depends on what counts as past: nothing is told apart where they are hidden.
    if bool(kept[0].past) != bool(kept[1].past) or whole(node, "is_causal", 0):
        kept = Cached("", keys, keys.value), Cached("", values, values.value)
    return _Taken(query, *kept)


def _put(net: Net, node: NodeProto, taken: _Taken, end: NodeProto | None) -> None:
    keys, values = taken.keys, taken.values
    inputs = [*(taken.apart if end is None else taken.wholes), *node.input[MASK:]]
    made = [node.output[0] if end is None else end.output[0]]
    if keys.past:
        inputs += [""] * (MASK + 1 - len(inputs)) + [keys.past, values.past]
        made += [keys.both, values.both]
    new = fused_node("Attention", inputs, made, (node if end is None else end).name, "")
    new.attribute.extend(entry for entry in node.attribute if entry.name not in OWN)
    if end is not None:
        add_integers(new, {"q_num_heads": taken.query.count, "kv_num_heads": keys.new.count})
    net.replace([new], "Attention")
