"""Who makes and who takes each value of a model's main graph, and which values are constant numbers."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from olivelike.onnxfile.walk import nodes
from olivelike_passes.header import replace_all
from olivelike_passes.weights import replaceable_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto, TensorProto

    Floats = NDArray[np.float64]


class Wiring:
    """A look at a graph as it is; whoever changes values or their makers takes a new look.

    Attributes:
        model: the model; weights are initializers, not `Constant` nodes.
    """

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        replaceable = replaceable_weights(model)
        self._weights = {tensor.name: tensor for tensor in model.graph.initializer if tensor.name not in replaceable}
        self._makers = {output: node for node in model.graph.node for output in node.output}
        self._outputs = {output.name for output in model.graph.output}
        self._users: dict[str, list[NodeProto]] = defaultdict(list)
        for node in nodes(model):  # a branch or a loop takes values of the graph around it by name
            for name in node.input:
                self._users[name].append(node)

    def maker(self, value: str, *kinds: str) -> NodeProto | None:
        """Returns the node of one of these types that makes a value which nothing but one input takes."""
        node = self._makers.get(value)
        alone = len(self._users[value]) == 1 and value not in self._outputs
        return node if node is not None and node.op_type in kinds and node.domain in ("", "ai.onnx") and alone else None

    def taker(self, value: str, *kinds: str) -> NodeProto | None:
        """Returns the one node that takes a value, if it is of one of these types and no more takes it."""
        users = self._users[value]
        alone = len(users) == 1 and value not in self._outputs
        # The node is the graph's own, not one inside a branch.
        own = alone and any(self._makers.get(output) is users[0] for output in users[0].output)
        return users[0] if own and users[0].op_type in kinds and users[0].domain in ("", "ai.onnx") else None

    def weight(self, value: str) -> Floats | None:
        """Returns a float32 weight in float64."""
        import numpy as np
        from onnx import TensorProto, numpy_helper

        tensor = self._weights.get(value)
        if tensor is None or tensor.data_type != TensorProto.FLOAT:
            return None
        return numpy_helper.to_array(tensor).astype(np.float64)

    def with_number(self, node: NodeProto) -> tuple[str, float] | None:
        """Returns what a node of two inputs computes with, where one is a constant number: the other input, and the number.

        A number of more than one axis is passed by: it might add axes to the other input.
        """
        for other, name in ((node.input[0], node.input[1]), (node.input[1], node.input[0])):
            value = self.weight(name)
            if value is not None and value.size == 1 and value.ndim <= 1 and other not in self._weights:
                return other, float(value.reshape(-1)[0])
        return None

    def new_weight(self, name: str, values: Floats) -> str:
        """Adds a float32 weight under a name made from this one, and returns the name."""
        import numpy as np
        from onnx import numpy_helper

        taken = {*self._weights, *self._makers, *self._users}
        number = next(n for n in range(len(taken) + 1) if f"{name}_{n}" not in taken)
        tensor: TensorProto = numpy_helper.from_array(values.astype(np.float32), f"{name}_{number}")
        self.model.graph.initializer.append(tensor)
        self._weights[tensor.name] = tensor
        return tensor.name

    def take_out(self, *removed: NodeProto) -> None:
        """Takes nodes out of the graph."""
        replace_all(
            self.model.graph.node, [node for node in self.model.graph.node if not any(node is r for r in removed)]
        )


def drop_unused_weights(model: ModelProto) -> None:
    """Takes out the main graph's initializers that nothing takes any more."""
    used = {name for node in nodes(model) for name in node.input} | {output.name for output in model.graph.output}
    inputs = {entry.name for entry in model.graph.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used | inputs]
    replace_all(model.graph.initializer, kept)
