"""Write a graph's nodes anew: new nodes beside those that stay, every activation quantized once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike.onnxfile.names import Names as NodeNames
from olivelike_passes.quantization.coded import Names

if TYPE_CHECKING:
    from onnx import NodeProto


@dataclass(frozen=True, slots=True)
class Quantized:
    """The names of an activation's codes (uint8) and of their grid, taken from its values as the model runs."""

    codes: str
    scale: str
    zero_point: str


class GraphWriter:
    """The nodes of one graph as they are written.

    Attributes:
        nodes: those written so far.
    """

    def __init__(self, names: Names, node_names: NodeNames) -> None:
        """Starts without nodes.

        Args:
            names: gives names to new values.
            node_names: gives names to new nodes.
        """
        self.nodes: list[NodeProto] = []
        self._names = names
        self._node_names = node_names
        self._quantized: dict[str, Quantized] = {}

    def quantized(self, value: str) -> Quantized:
        """Returns an activation quantized by `DynamicQuantizeLinear`, one for all that take it."""
        if value not in self._quantized:
            made = Quantized(*(self._names.free(f"{value}_{end}") for end in ("quantized", "scale", "zero_point")))
            outputs = [made.codes, made.scale, made.zero_point]
            self._write("DynamicQuantizeLinear", [value], outputs, self._node_names.fresh(f"{value}_QuantizeLinear"))
            self._quantized[value] = made
        return self._quantized[value]

    def add(self, kind: str, inputs: Sequence[str], wanted: str, **attributes: object) -> str:
        """Writes a node of one output, and returns the output's name, which is like the one wanted."""
        output = self._names.free(wanted)
        self._write(kind, inputs, [output], self._node_names.fresh(wanted), **attributes)
        return output

    def finish(self, node: NodeProto, kind: str, inputs: Sequence[str], **attributes: object) -> None:
        """Writes the node that makes what a node made before, under its name."""
        name = node.name or self._node_names.fresh(f"{node.output[0]}_{kind}")
        self._write(kind, inputs, [node.output[0]], name, **attributes)

    def replace(self, node: NodeProto, kind: str, inputs: Sequence[str], dropped: Sequence[str] = ()) -> None:
        """Writes a node of the runtime's own domain with the outputs, the name and the attributes of another."""
        import onnx

        name = self._node_names.fresh(f"{node.name}_quant")
        made = onnx.helper.make_node(kind, inputs, node.output, name, domain="com.microsoft")
        made.attribute.extend(attribute for attribute in node.attribute if attribute.name not in dropped)
        self.nodes.append(made)

    def _write(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], name: str, **attributes: object) -> None:
        import onnx

        node = onnx.helper.make_node(kind, inputs, outputs, name)
        node.attribute.extend(onnx.helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(node)
