"""A rewrite of attention over packed sequences: a loop over them, with an operator that runtimes have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike.onnxfile.walk import nodes
from olivelike_passes.surgery.opened import MICROSOFT, Opened
from olivelike_passes.surgery.rewrite import Found, NoParameters, Rewrite
from olivelike_passes.surgery.scope import Scope, attribute_of

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

CUSTOM = "custom"
"""The domain under which vision models of the Qwen-VL family are exported with `PackedAttention`."""
ENDS_ARE_INPUTS = 10
"""From this opset on `Slice` takes its ends as inputs, so that they can be computed."""
SEQUENCE = 1
"""The axis of the packed sequences, once heads are behind them."""


def packed_attention_to_loop(opened: Opened, _: NoParameters) -> Found:
    """Writes attention over packed sequences as a loop over the sequences.

    Pattern: `PackedAttention` (domain `custom`) of query, key, value, each [batch, heads, length, size], and the
    cumulative lengths [sequences + 1], with the attributes `num_heads` and `scale`. Result: query, key and value as
    [batch, length, heads * size] (`Transpose`, `Reshape`); a `Loop` over the sequences that cuts each out (`Slice`), runs
    `MultiHeadAttention` (`com.microsoft`) on it and joins the results (`Concat`); a `Reshape` to
    [batch, length, heads, size]. The numbers are those of attention within each sequence.
    """
    if opened.opset < ENDS_ARE_INPUTS and any(node.domain == CUSTOM for _, node in opened.nodes("PackedAttention")):
        claim = f"step packed_attention_to_loop: needs opset {ENDS_ARE_INPUTS}, the model has {opened.opset}"
        raise opened.refuse(claim, f"convert_opset: {{target: {ENDS_ARE_INPUTS}}} before it")
    count = 0
    for scope, node in opened.nodes("PackedAttention"):
        if node.domain == CUSTOM and len(node.input) == 4:
            scope.put(node, *_Writer(opened, scope, node).written())
            count += 1
    if count and count == sum(node.domain == CUSTOM for node in nodes(opened.model)):
        _forget(opened, CUSTOM)
    return count


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes what stands in the place of one node."""

    opened: Opened
    scope: Scope
    packed: NodeProto

    def written(self) -> list[NodeProto]:
        made: list[NodeProto] = []
        flat = self._weight("flat", [0, 0, -1])
        ends = self.packed.input[3]
        turned = [self._op(made, "Transpose", [name], "turned", perm=[0, 2, 1, 3]) for name in self.packed.input[:3]]
        shape = self._op(made, "Shape", [turned[0]], "shape")
        query, key, value = (self._op(made, "Reshape", [name, flat], "flat") for name in turned)
        one, zero = self._weight("one", [1]), self._weight("zero", [0])
        axis = self._weight("axis", [SEQUENCE])
        size = self._op(made, "Size", [ends], "ends")
        scalar = self._op(made, "Sub", [size, one], "sequences")
        times = self._op(made, "Squeeze", [scalar], "times")
        empty = self._op(made, "Slice", [value, zero, zero, axis], "none")
        body = self._body(query, key, value, ends, one, axis)
        joined = self._op(made, "Loop", [times, "", empty], "joined", body=body)
        made.append(self.opened.node("Reshape", [joined, shape], [self.packed.output[0]], f"{self._base}_Reshape"))
        return made

    def _body(self, query: str, key: str, value: str, ends: str, one: str, axis: str) -> GraphProto:
        import onnx

        made: list[NodeProto] = []
        step, go_on, before = (self._name(word) for word in ("step", "go_on", "before"))
        place = self._op(made, "Reshape", [step, one], "place")
        following = self._op(made, "Add", [place, one], "following")
        bounds = []
        for where in (place, following):
            found = self._op(made, "Gather", [ends, where], "bound", axis=0)
            bounds.append(self._op(made, "Cast", [found], "bound", to=onnx.TensorProto.INT64))
        parts = [self._op(made, "Slice", [name, *bounds, axis], "part") for name in (query, key, value)]
        given = {name: attribute_of(self.packed, name, None) for name in ("num_heads", "scale")}
        kept = {name: each for name, each in given.items() if each is not None}
        attended = self._op(made, "MultiHeadAttention", parts, "attended", domain=MICROSOFT, **kept)
        after = self._op(made, "Concat", [before, attended], "after", axis=SEQUENCE)
        still = self._op(made, "Identity", [go_on], "still")
        entry = onnx.helper.make_tensor_value_info
        # What the loop carries needs no type: it is that of what the loop is given.
        inputs = [
            entry(step, onnx.TensorProto.INT64, []),
            entry(go_on, onnx.TensorProto.BOOL, []),
            onnx.ValueInfoProto(name=before),
        ]
        outputs = [entry(still, onnx.TensorProto.BOOL, []), onnx.ValueInfoProto(name=after)]
        return onnx.helper.make_graph(made, f"{self._base}_sequence", inputs, outputs)

    def _op(
        self, made: list[NodeProto], kind: str, inputs: list[str], word: str, domain: str = "", **attributes: object
    ) -> str:
        output = self._name(word)
        made.append(self.opened.node(kind, inputs, [output], f"{self._base}_{kind}", domain, **attributes))
        return output

    def _weight(self, word: str, values: list[int]) -> str:
        import numpy as np

        return self.opened.weight(self.opened.main, np.asarray(values, np.int64), f"{self._base}_{word}")

    def _name(self, word: str) -> str:
        return self.opened.fresh(f"{self._base}_{word}")

    @property
    def _base(self) -> str:
        return self.packed.name or self.packed.output[0]


def _forget(opened: Opened, domain: str) -> None:
    imports = opened.model.opset_import
    for place in reversed(range(len(imports))):
        if imports[place].domain == domain:
            del imports[place]


REWRITES = (
    Rewrite(
        "packed_attention_to_loop",
        "PackedAttentionToLoopMHA",
        packed_attention_to_loop,
        "PackedAttention of the domain `custom` with four inputs",
    ),
)
