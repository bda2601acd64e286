"""A model while its matrices are replaced: new tensors and nodes beside old ones, and what nothing reads any more taken out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from olivelike.onnxfile.made import Made
from olivelike.onnxfile.read import opset
from olivelike.onnxfile.walk import graphs, nodes
from olivelike_passes.header import replace_all
from olivelike_passes.weights import replaceable_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

MICROSOFT = "com.microsoft"


class OpenModel:
    """Collects changes to a model's graphs; `close` makes those that move nodes about."""

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self.made = Made()
        self._graphs = list(graphs(model))
        held = [(tensor, graph) for graph in self._graphs for tensor in graph.initializer]
        self._tensors = [tensor for tensor, _ in held]  # held, so that an identity stays a tensor's own
        self._values_of_main = {tensor.name: tensor for tensor, graph in held if graph is self._graphs[0]}
        self._replaceable = replaceable_weights(model)
        self._owners = {id(tensor): graph for tensor, graph in held}
        self._values = {name for graph in self._graphs for name in _names(graph)}
        self._nodes = {node.name for node in nodes(model)}
        self._before: dict[int, list[NodeProto]] = defaultdict(list)
        self._after: dict[int, list[NodeProto]] = defaultdict(list)
        self._old_nodes: list[tuple[GraphProto, NodeProto]] = []
        self._old_tensors: dict[int, TensorProto] = {}

    def announce(
        self,
        beside: TensorProto,
        parts: Sequence[tuple[str, int, Sequence[int]]],
        make: Callable[[], Sequence[NDArray[Any]]],
        graph: GraphProto | None = None,
    ) -> list[str]:
        """Adds tensors that are made together to a graph, and returns their names.

        Args:
            beside: the weight that they are made from.
            parts: for each what its name ends in, its element type and its shape.
            make: returns their values.
            graph: the graph; that which holds the weight, if not said.
        """
        import onnx

        tensors = [
            onnx.TensorProto(name=self.value(f"{beside.name}_{end}"), data_type=kind, dims=shape)
            for end, kind, shape in parts
        ]
        (graph or self._owners[id(beside)]).initializer.extend(tensors)
        self.made.announce(tensors, make)
        return [tensor.name for tensor in tensors]

    def shape_of(self, name: str) -> tuple[int, ...] | None:
        """Returns the shape of the initializers of a name, if there are some and they are of one shape."""
        shapes = {tuple(map(int, tensor.dims)) for tensor in self._tensors if tensor.name == name}
        return shapes.pop() if len(shapes) == 1 else None

    def constant_of(self, name: str) -> TensorProto | None:
        """Returns the main graph's initializer of a name that nothing can replace."""
        fixed = self._values_of_main.get(name)
        return None if fixed is None or name in self._replaceable else fixed

    def only_for(self, name: str, readers: Sequence[NodeProto]) -> NodeProto | None:
        """Returns the main graph's node that makes a value as its first output, if none but these nodes read it."""
        taken = sum(name == each for node in nodes(self.model) for each in node.input)
        ours = sum(name == each for node in readers for each in node.input)
        if taken != ours or any(name == output.name for graph in self._graphs for output in graph.output):
            return None
        makers = [node for node in self.model.graph.node if name in node.output[:1]]
        return makers[0] if len(makers) == 1 else None

    def at_least_ir(self, version: int) -> None:
        """Raises the model's IR version if it is lower."""
        self.model.ir_version = max(self.model.ir_version, version)

    def constant(self, beside: TensorProto, end: str, values: NDArray[Any]) -> str:
        """Adds a small tensor to the graph that holds another, and returns its name."""
        import onnx

        name = self.value(f"{beside.name}_{end}")
        self._owners[id(beside)].initializer.append(onnx.numpy_helper.from_array(values, name))
        return name

    def value(self, name: str) -> str:
        """Returns a name that no value of any graph has."""
        return _fresh(name, self._values)

    def node(
        self, kind: str, inputs: Sequence[str], output: str, name: str, domain: str = "", **attributes: int
    ) -> NodeProto:
        """Returns a node whose name no other has."""
        return _node(kind, inputs, [output], _fresh(name, self._nodes), domain, attributes)

    def become(self, node: NodeProto, kind: str, inputs: Sequence[str], domain: str = "", **attributes: int) -> None:
        """Lets a node be of another type; its name, its outputs and what is said of it stay."""
        new = _node(kind, inputs, list(node.output), node.name, domain, attributes)
        for field in ("op_type", "domain", "input", "attribute"):
            node.ClearField(field)
        node.op_type, node.domain = new.op_type, new.domain
        node.input.extend(new.input)
        node.attribute.extend(new.attribute)

    def before(self, node: NodeProto, *new: NodeProto) -> None:
        """Puts nodes in front of one."""
        self._before[id(node)] += new

    def after(self, node: NodeProto, *new: NodeProto) -> None:
        """Puts nodes behind one."""
        self._after[id(node)] += new

    def replaced(self, tensor: TensorProto, *behind: tuple[GraphProto, NodeProto]) -> None:
        """Says that a weight, and perhaps a `Transpose` behind it, is read by one node less."""
        self._old_tensors[id(tensor)] = tensor
        self._old_nodes += behind

    def close(self) -> ModelProto:
        """Puts the new nodes in their places, takes out what was replaced, and returns the model."""
        read = self._read(self._old_nodes)
        gone = {id(node) for _, node in self._old_nodes if node.output[0] not in read}
        for graph in reversed(self._graphs):  # the inner ones first: the outer ones are copied with what is in them
            if any(id(node) in self._before or id(node) in self._after or id(node) in gone for node in graph.node):
                replace_all(graph.node, [new for node in graph.node for new in self._in_place_of(node, gone)])
        read = self._read(())
        for graph in graphs(self.model):
            _take_out(graph, {t.name for t in self._old_tensors.values()} - read)
        if not opset(self.model, MICROSOFT) and any(node.domain == MICROSOFT for node in nodes(self.model)):
            self.model.opset_import.add(domain=MICROSOFT, version=1)
        return self.model

    def _in_place_of(self, node: NodeProto, gone: set[int]) -> list[NodeProto]:
        if id(node) in gone:
            return []
        return [*self._before.get(id(node), ()), node, *self._after.get(id(node), ())]

    def _read(self, without: Sequence[tuple[GraphProto, NodeProto]]) -> set[str]:
        left_out = {id(node) for _, node in without}
        added = [node for new in (self._before, self._after) for each in new.values() for node in each]
        found = {name for node in (*nodes(self.model), *added) if id(node) not in left_out for name in node.input}
        return found | {output.name for graph in graphs(self.model) for output in graph.output}


def _node(
    kind: str, inputs: Sequence[str], outputs: Sequence[str], name: str, domain: str, attributes: Mapping[str, int]
) -> NodeProto:
    import onnx

    node = onnx.helper.make_node(kind, inputs, outputs, name=name, domain=domain)
    node.attribute.extend(onnx.helper.make_attribute(key, value) for key, value in attributes.items())
    return node


def _names(graph: GraphProto) -> set[str]:
    found = {entry.name for entry in (*graph.input, *graph.output, *graph.value_info, *graph.initializer)}
    found |= {sparse.values.name for sparse in graph.sparse_initializer}
    return found | {name for node in graph.node for name in (*node.input, *node.output)}


def _fresh(name: str, taken: set[str]) -> str:
    found, number = name, 1
    while found in taken:
        found = f"{name}_{number}"
        number += 1
    taken.add(found)
    return found


def _take_out(graph: GraphProto, names: set[str]) -> None:
    """Takes weights out of a graph, and what is said of them."""
    for place in reversed(range(len(graph.initializer))):
        if graph.initializer[place].name in names:
            del graph.initializer[place]
    for place in reversed(range(len(graph.value_info))):
        if graph.value_info[place].name in names:
            del graph.value_info[place]
    for place in reversed(range(len(graph.quantization_annotation))):
        if graph.quantization_annotation[place].tensor_name in names:
            del graph.quantization_annotation[place]
