"""A graph on its way back to floats: which float stands for which integer, which weights were made, which nodes are new."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.made import Made
from olivelike.onnxfile.names import Names
from olivelike.onnxfile.wiring import makers, reads
from olivelike_passes.quantization.unquantized.values import dequantized, rounded, whole_values

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray
    from onnx import AttributeProto, GraphProto, NodeProto, TensorProto

    Raw: TypeAlias = NDArray[Any]

IN_RANGE = frozenset({"Relu", "Sigmoid", "Softmax", "HardSigmoid", "Clip", "MaxPool"})
"""Operators behind which a range that begins at zero says nothing new."""
AXIS_SINCE = 13
"""The opset since which `DequantizeLinear` has an `axis` (ONNX, Changelog.md)."""


@dataclass(slots=True)
class Model:
    """What all graphs of a model share.

    Attributes:
        path: the file it was read from.
        opset: of the default domain.
        taken: names of values.
        shared: names of tensors that several graphs use, whose values cannot be announced.
        made: the values of new weights.
        freed: how many weights became floats.
    """

    path: Path
    opset: int
    taken: Names
    shared: set[str]
    made: Made = field(default_factory=Made)
    freed: int = 0

    def fresh(self, name: str) -> str:
        """Returns a name that no value has, and takes it."""
        return self.taken.fresh(name)


class Scope:
    """One graph. Nodes are handed over one by one (`place`, `node`); what replaces them is collected in `nodes`.

    Attributes:
        model: what all graphs share.
        graph: the graph.
        floats: integer value to the float value that it stands for.
        scales: integer value to the name of its scale, where that is found as the model runs.
        renamed: values that are other values now.
        nodes: the new nodes.
        skipped: places of nodes that an earlier one stood for.
    """

    def __init__(self, model: Model, graph: GraphProto, around: Scope | None = None) -> None:
        self.model = model
        self.graph = graph
        self.floats: dict[str, str] = dict(around.floats) if around else {}
        self.scales: dict[str, str] = dict(around.scales) if around else {}
        self.renamed: dict[str, str] = {}
        self.nodes: list[NodeProto] = []
        self.skipped: set[int] = set()
        self._held: dict[str, TensorProto] = dict(around._held) if around else {}
        own = {entry.name for entry in graph.input} | {name for node in graph.node for name in node.output}
        for name in own:
            self._held.pop(name, None)
            self.floats.pop(name, None)
        self._held |= {tensor.name: tensor for tensor in graph.initializer}
        self._weights: dict[tuple[object, ...], str] = {}
        self.source = list(graph.node)
        self._makers = makers(self.source)
        self._takers: dict[str, list[int]] = {}
        for place, node in enumerate(self.source):
            for name in reads(node):
                self._takers.setdefault(name, []).append(place)
        self.outputs = {entry.name for entry in graph.output}

    def forget(self, names: Sequence[str]) -> None:
        """Treats initializers as values that may be replaced at run time."""
        for name in names:
            self._held.pop(name, None)

    def constant(self, name: str) -> TensorProto | None:
        """Returns a constant tensor by name."""
        return self._held.get(name)

    def array(self, name: str) -> Raw | None:
        """Returns the values of a constant; nothing for no name and for what is no constant."""
        tensor = self._held.get(name)
        return None if tensor is None else whole_values(tensor, self.model.path)

    def maker(self, name: str) -> NodeProto | None:
        """Returns the graph's node that makes a value."""
        return self.source[self._makers[name]] if name in self._makers else None

    def only_taker(self, name: str, *kinds: str) -> tuple[int, NodeProto] | None:
        """Returns the place and the node of the only one that reads a value, if it is of one of these types."""
        found = self._takers.get(name, [])
        if len(found) != 1 or name in self.outputs or self.source[found[0]].op_type not in kinds:
            return None
        return found[0], self.source[found[0]]

    def emit(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        like: NodeProto,
        *,
        domain: str = "",
        without: Sequence[str] = (),
        attributes: Mapping[str, object] | None = None,
    ) -> None:
        """Adds a node with the attributes of another.

        Args:
            kind: its type.
            inputs: what it reads.
            outputs: what it makes.
            like: the node it replaces.
            domain: its operator's.
            without: attributes that it does not have.
            attributes: instead of the other's.
        """
        import onnx

        trimmed = list(inputs)
        while trimmed and not trimmed[-1]:
            trimmed.pop()
        node = onnx.helper.make_node(kind, trimmed, outputs, name=like.name, domain=domain)
        kept: Sequence[AttributeProto] = like.attribute if attributes is None else ()
        node.attribute.extend(attribute for attribute in kept if attribute.name not in without)
        for name, value in (attributes or {}).items():
            node.attribute.append(onnx.helper.make_attribute(name, value))
        self.nodes.append(node)

    def read(self, name: str, scale: str, zero: str, axis: int = 1) -> str:
        """Returns the float value that an integer one stands for.

        Of a constant it becomes a weight; of what comes from outside the graph a `DequantizeLinear` makes it.

        Raises:
            RefusedError: OL301, scales may differ along an axis, which `DequantizeLinear` has no word for below opset 13.
        """
        name = self.renamed.get(name, name)
        if name in self.floats:
            return self.floats[name]
        if self.constant(name) is not None and self.constant(scale) is not None:
            return self.weight(name, scale, zero, axis)
        import onnx

        steps = self.array(scale)
        whole = steps is not None and steps.size == 1
        if not whole and self.model.opset < AXIS_SINCE:
            claim = f"{name!r} may have a scale for each channel, which stays so only from opset {AXIS_SINCE} on"
            raise fail(RefusedError, "OL301", claim, hint=f"put `convert_opset: {{opset: {AXIS_SINCE}}}` before it")
        made = self.model.fresh(f"{name}_float")
        inputs = [name, scale, zero] if zero else [name, scale]
        node = onnx.helper.make_node("DequantizeLinear", inputs, [made])
        node.attribute.extend([] if whole else [onnx.helper.make_attribute("axis", axis)])
        self.nodes.append(node)
        self.floats[name] = made
        return made

    def weight(self, name: str, scale: str, zero: str, axis: int, block: int = 0, called: str = "") -> str:
        """Returns the name of the float weight that a constant stands for; the same constant becomes one weight only."""
        key = name, scale, zero, axis, block
        if key not in self._weights:
            tensor, scales, zeros = self._held[name], self.array(scale), self.array(zero)
            assert scales is not None
            kind, path = scales.dtype, self.model.path

            def make() -> list[Raw]:
                values = whole_values(tensor, path).reshape(tuple(tensor.dims) or (1,))
                return [dequantized(lambda rows: values[rows], tensor.dims, scales, zeros, axis, block, kind)]

            self._weights[key] = self.add(called or f"{name}_float", kind, tensor.dims, make)
        return self._weights[key]

    def rounded(self, name: str, scale: str, zero: str, axis: int, block: int) -> str:
        """Returns the name of what a float constant is once it was quantized and taken back."""
        tensor, steps, points, path = self._held[name], self.array(scale), self.array(zero), self.model.path
        assert steps is not None
        kind = steps.dtype

        def make() -> list[Raw]:
            return [rounded(whole_values(tensor, path), steps, points, axis, block, kind)]

        return self.add(f"{name}_rounded", kind, tensor.dims, make)

    def add(self, name: str, kind: np.dtype[Any], shape: Sequence[int], make: Callable[[], Sequence[Raw]]) -> str:
        """Adds a weight whose values are made later, under this name or a free one made from it."""
        import onnx

        # A name that the graph's own node made is this weight's to take; any other is asked for.
        known = self._makers.get(name) is not None
        called = name if known else self.model.fresh(name)
        tensor = onnx.TensorProto(name=called, data_type=onnx.helper.np_dtype_to_tensor_dtype(kind), dims=shape)
        self.model.freed += 1
        if called in self.model.shared:
            tensor.raw_data = make()[0].tobytes()
            self.graph.initializer.append(tensor)
        else:
            self.graph.initializer.append(tensor)
            self.model.made.announce([self.graph.initializer[-1]], make)
        self._held[called] = self.graph.initializer[-1]
        return called

    def give(self, name: str, made: str, scale: str, zero: str, like: NodeProto) -> None:
        """Lets a float value stand for an integer one, and makes that of it for who still reads it."""
        import onnx

        made = self.in_range(name, made, scale, zero)
        self.floats[name] = made
        inputs = [made, scale, zero] if zero else [made, scale]
        self.nodes.append(onnx.helper.make_node("QuantizeLinear", inputs, [name], name=like.name and f"{like.name}_Q"))

    def in_range(self, name: str, value: str, scale: str, zero: str) -> str:
        """Returns a value that is kept in the range of the integers that stood for it, where that begins at zero.

        Quantizers leave `Relu` and `Clip` to such a range (ONNX Runtime, qdq_quantizer.py, `QDQRemovableActivation`).
        """
        import numpy as np

        step, point = self.array(scale), self.array(zero)
        maker = next((node for node in reversed(self.nodes) if value in node.output), None)
        if step is None or step.size != 1 or (maker is not None and maker.op_type in IN_RANGE):
            return value
        if point is not None and (point.size != 1 or point.dtype.kind not in "iu"):
            return value
        limits = np.iinfo(np.uint8 if point is None else point.dtype)
        least = 0 if point is None else int(point.reshape(-1)[0])
        if least != limits.min:
            return value
        top = np.asarray((limits.max - least) * float(step.reshape(-1)[0]), step.dtype)
        return self._clip(name, value, np.zeros((), step.dtype), top)

    def _clip(self, name: str, value: str, low: Raw, high: Raw) -> str:
        import onnx

        made = self.model.fresh(f"{name}_in_range")
        if self.model.opset < 11:
            node = onnx.helper.make_node("Clip", [value], [made], min=float(low), max=float(high))
        else:
            ends = []
            for end, number in (("low", low), ("high", high)):
                ends.append(self.model.fresh(f"{name}_{end}"))
                self.graph.initializer.append(onnx.numpy_helper.from_array(number, ends[-1]))
            node = onnx.helper.make_node("Clip", [value, *ends], [made])
        self.nodes.append(node)
        return made
