"""The layers of a main graph that multiply by a weight of their own: which axis of it counts inputs, and which outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike.onnxfile.walk import nodes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

DEFAULT = ("", "ai.onnx")


@dataclass(frozen=True, slots=True)
class Linear:
    """A `MatMul`, `Gemm` or `Conv` whose weight nobody else reads.

    Attributes:
        node: the node.
        weight: its tensor.
        inputs: the weight's axis that counts input channels.
        outputs: the axis that counts output channels.
        bias: the name of a bias of one axis that nobody else reads; empty where there is none, or none that may change.
        bare: whether it may be given a bias.
    """

    node: NodeProto
    weight: TensorProto
    inputs: int
    outputs: int
    bias: str
    bare: bool

    @property
    def depthwise(self) -> bool:
        """Whether each channel goes its own way."""
        return self.inputs == self.outputs


def linear_layers(model: ModelProto) -> Iterator[Linear]:
    """Yields the linear layers of the main graph, in its order; weights that may be replaced are passed by."""
    own = own_tensors(model)
    for node in model.graph.node:
        tensor = own.get(node.input[1]) if len(node.input) > 1 and node.domain in DEFAULT else None
        axes = _axes(node, tensor) if tensor is not None and tensor.data_type == tensor.FLOAT else None
        if tensor is None or axes is None or 0 in tensor.dims:
            continue
        third = node.input[2] if len(node.input) > 2 else ""
        held = own.get(third)
        plain = held is not None and list(held.dims) == [tensor.dims[axes[1]]]
        bare = not third and node.op_type in ("Conv", "Gemm")
        if third and not plain and node.op_type != "MatMul":
            continue  # what is scaled must take its bias along
        yield Linear(node, tensor, *axes, third if plain else "", bare)


def own_tensors(model: ModelProto) -> dict[str, TensorProto]:
    """Returns the main graph's weights that one node takes, once, and nobody else can see: no branch, no caller."""
    reads = Counter(name for node in nodes(model) for name in node.input)
    reads.update(entry.name for entry in (*model.graph.input, *model.graph.output))
    return {tensor.name: tensor for tensor in model.graph.initializer if reads[tensor.name] == 1}


def _axes(node: NodeProto, tensor: TensorProto) -> tuple[int, int] | None:
    """Returns the axes of input and output channels."""
    numbers = {attribute.name: attribute.f or attribute.i for attribute in node.attribute}
    match node.op_type:
        case "MatMul" if len(tensor.dims) == 2:
            return 0, 1
        case "Gemm" if not numbers.get("transA") and numbers.get("alpha", 1) == numbers.get("beta", 1) == 1:
            return (1, 0) if numbers.get("transB") else (0, 1)
        case "Conv" if numbers.get("group", 1) == 1:
            return 1, 0
        case "Conv" if numbers["group"] == tensor.dims[0] and tensor.dims[1] == 1:
            return 0, 0
    return None
