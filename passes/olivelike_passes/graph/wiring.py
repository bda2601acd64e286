"""Who makes and who takes each value of a model's main graph, and which values are constant numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from olivelike.onnxfile.names import Names, all_names
from olivelike.onnxfile.walk import nodes
from olivelike_passes.header import replace_all
from olivelike_passes.weights import replaceable_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto, TensorProto

    Floats = NDArray[np.float64]


class Wiring:
    """A look at a graph that is kept up to date by the changes made through it; `finish` writes which nodes are left.

    Attributes:
        model: the model; weights are initializers, not `Constant` nodes.
        nodes: those of the main graph, as they stood there.
    """

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self.nodes = list(model.graph.node)
        replaceable = replaceable_weights(model)
        self._weights = {tensor.name: tensor for tensor in model.graph.initializer if tensor.name not in replaceable}
        self._makers = {output: node for node in self.nodes for output in node.output}
        self._outputs = {output.name for output in model.graph.output}
        self._users: dict[str, dict[tuple[int, int], NodeProto]] = defaultdict(dict)
        for node in nodes(model):  # a branch or a loop takes values of the graph around it by name
            self._take_inputs(node)
        self._removed: set[int] = set()
        self._names = Names(all_names(model))

    def maker(self, value: str, *kinds: str) -> NodeProto | None:
        """Returns the node of one of these types that makes a value which nothing but one input takes."""
        node = self._makers.get(value)
        alone = len(self._users.get(value, ())) == 1 and value not in self._outputs
        return node if node is not None and node.op_type in kinds and node.domain in ("", "ai.onnx") and alone else None

    def taker(self, value: str, *kinds: str) -> NodeProto | None:
        """Returns the one node that takes a value, if it is of one of these types and no more takes it."""
        users = list(self._users.get(value, {}).values())
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

        tensor: TensorProto = numpy_helper.from_array(values.astype(np.float32), self._names.numbered(name, 0))
        self.model.graph.initializer.append(tensor)
        self._weights[tensor.name] = tensor
        return tensor.name

    def read(self, node: NodeProto, inputs: Sequence[str]) -> None:
        """Lets a node take these values."""
        self._leave_inputs(node)
        del node.input[:]
        node.input.extend(inputs)
        self._take_inputs(node)

    def make(self, node: NodeProto, output: str) -> None:
        """Lets a node make this value as its first."""
        self._leave_outputs(node)
        node.output[0] = output
        self._makers |= dict.fromkeys(node.output, node)

    def take_out(self, *removed: NodeProto) -> None:
        """Takes nodes out of the graph; what other nodes were told to make in their place stays theirs."""
        for node in removed:
            self._removed.add(id(node))
            self._leave_inputs(node)
            self._leave_outputs(node)

    def is_out(self, node: NodeProto) -> bool:
        """Whether a node was taken out."""
        return id(node) in self._removed

    def finish(self) -> None:
        """Leaves the nodes in the graph that were not taken out; the wiring is of no use after it."""
        if self._removed:
            replace_all(self.model.graph.node, [node for node in self.nodes if not self.is_out(node)])

    def _take_inputs(self, node: NodeProto) -> None:
        for place, name in enumerate(node.input):
            self._users[name][id(node), place] = node

    def _leave_inputs(self, node: NodeProto) -> None:
        for place, name in enumerate(node.input):
            del self._users[name][id(node), place]

    def _leave_outputs(self, node: NodeProto) -> None:
        for name in node.output:
            if self._makers.get(name) is node:
                del self._makers[name]


def drop_unused_weights(model: ModelProto) -> None:
    """Takes out the main graph's initializers that nothing takes any more."""
    used = {name for node in nodes(model) for name in node.input} | {output.name for output in model.graph.output}
    inputs = {entry.name for entry in model.graph.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used | inputs]
    replace_all(model.graph.initializer, kept)
