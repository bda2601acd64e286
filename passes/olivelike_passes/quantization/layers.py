"""The layers whose weights can be rounded: matrices and convolutions, each with the value that flows into it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from olivelike_passes.matrices import FLOATS, matrices
from olivelike_passes.naming import name_of
from olivelike_passes.weights import replaceable_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, TensorProto


@dataclass(frozen=True, slots=True)
class Layer:
    """A node with a constant weight.

    Attributes:
        node: the node's name, or what it makes if it has none.
        kind: its type: `MatMul`, `Gemm`, `Gather` or `Conv`.
        tensor: the weight.
        input: the value that the weight is multiplied with; empty for tables (`Gather`).
        rows_are_outputs: whether the tensor's first axis counts outputs.
        groups: of a convolution; 1 otherwise.
    """

    node: str
    kind: str
    tensor: TensorProto
    input: str
    rows_are_outputs: bool
    groups: int = 1

    @property
    def outputs(self) -> int:
        """How many outputs there are, each made of one set of weights."""
        return int(self.tensor.dims[0 if self.rows_are_outputs else 1])

    @property
    def inputs(self) -> int:
        """How many weights an output is made of."""
        return int(prod(self.tensor.dims)) // max(self.outputs, 1)

    @property
    def kernel(self) -> int:
        """Weights of an output for each input channel."""
        return int(prod(self.tensor.dims[2:])) if self.kind == "Conv" else 1

    def rows(self, values: NDArray[np.generic], part: slice) -> NDArray[np.float32]:
        """Returns some outputs' weights, float32 `[outputs, inputs]`, of the tensor's values."""
        import numpy as np

        rows = values[part].reshape(part.stop - part.start, -1) if self.rows_are_outputs else values[:, part].T
        return np.ascontiguousarray(rows, np.float32)


def layers(model: ModelProto) -> Iterator[Layer]:
    """Yields a model's layers: matrices in the order of nodes, those of branches and loops too, then convolutions."""
    for matrix in matrices(model):
        value = "" if matrix.kind == "Gather" else matrix.node.input[0]
        yield Layer(name_of(matrix.node), matrix.kind, matrix.tensor, value, matrix.rows_are_outputs)
    replaceable = replaceable_weights(model)
    held = {tensor.name: tensor for tensor in model.graph.initializer if tensor.name not in replaceable}
    for node in model.graph.node:
        tensor = held.get(node.input[1]) if node.op_type == "Conv" and node.domain in ("", "ai.onnx") else None
        if tensor is not None and tensor.data_type in FLOATS and prod(tensor.dims):
            groups = next((int(attribute.i) for attribute in node.attribute if attribute.name == "group"), 1)
            yield Layer(name_of(node), "Conv", tensor, node.input[0], True, groups)
