"""The shape and element size of every tensor of a model at given sizes of its dynamic dimensions; nothing is run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.contracts.metric import TensorInfo
from olivelike.errors import MeasureError, fail
from olivelike.evaluate.resources.stand_ins import Shape, stand_in
from olivelike.evaluate.sessions.random_feeds import check_dims, concrete_shape
from olivelike.evaluate.sessions.runtime_errors import shortened
from olivelike.onnxfile.inference import forget_stated_shapes, inferred
from olivelike.onnxfile.light import without_weights
from olivelike.onnxfile.read import UNKNOWN_RANK, read_structure, signature_of
from olivelike.onnxfile.repeatable import draws
from olivelike.onnxfile.sizes import PACKED_BITS
from olivelike.onnxfile.wiring import graphs_inside

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's shape and the bits of one element; 0 bits where the element has no fixed size (texts)."""

    shape: Shape
    bits: int

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """The bytes that its values take."""
        return math.ceil(self.size * self.bits / 8)


@dataclass(frozen=True, slots=True)
class Shaped:
    """A model's nodes in order, functions inlined, and every tensor whose shape is known; `constants` need no run."""

    nodes: tuple[NodeProto, ...]
    tensors: Mapping[str, Tensor]
    constants: frozenset[str]


def shaped(path: Path, batch: int, dims: Mapping[str, int]) -> Shaped:
    """Infers the shapes of a model's tensors.

    ONNX's own inference with data propagation, on a copy without weights in which `stand_in` has replaced the runtime's own
    operators. A dynamic dimension takes its size from `dims`; otherwise the first one of an input is `batch` and any other 1.

    Args:
        path: the model's file; of external data only small tensors are read.
        batch: the size of a dynamic first dimension that `dims` does not name.
        dims: sizes of dynamic dimensions by name.

    Raises:
        InputError: OL201 to OL203, the file cannot be read; OL206, an unknown dimension in `dims`.
        MeasureError: OL504, shapes cannot be inferred, as where the operator set is not named.
    """
    import onnx

    model = without_weights(read_structure(path), path)
    _fix_sizes(model, batch, dims)
    if model.functions:
        import onnx.inliner

        model = onnx.inliner.inline_local_functions(model)
    nodes, constants = tuple(model.graph.node), _constants(model.graph)
    _replace_unknown(model.graph)
    try:
        found = inferred(model)
    except onnx.shape_inference.InferenceError as error:
        raise fail(MeasureError, "OL504", f"shapes cannot be inferred: {shortened(str(error))}") from error
    return Shaped(nodes, _known(found.graph), constants)


def _fix_sizes(model: ModelProto, batch: int, dims: Mapping[str, int]) -> None:
    inputs = [TensorInfo(value.name, value.dtype, value.shape) for value in signature_of(model).inputs]
    check_dims(inputs, dims)
    fixed = {info.name: concrete_shape(info, batch, dims) for info in inputs if UNKNOWN_RANK not in info.shape}
    for entry in model.graph.input:
        if entry.name in fixed:
            _set_shape(entry, fixed[entry.name])
    forget_stated_shapes(model)  # they may have been written for other sizes


def _set_shape(entry: ValueInfoProto, shape: Shape) -> None:
    for dim, size in zip(entry.type.tensor_type.shape.dim, shape, strict=True):
        dim.dim_value = size


def _constants(graph: GraphProto) -> frozenset[str]:
    """Returns the tensors that are the same in every run: weights, what is computed from them alone, and shapes."""
    inputs = {entry.name for entry in graph.input}
    found = {tensor.name for tensor in graph.initializer if tensor.name not in inputs}
    for node in graph.node:
        if node.op_type in {"Shape", "Size"} or (
            _repeats_itself(node) and all(name in found for name in node.input if name)
        ):
            found.update(node.output)
    return frozenset(found)


def _repeats_itself(node: NodeProto) -> bool:
    """Whether a node gives the same for the same inputs; what lies in a graph of its own may see more than its inputs."""
    return not draws(node) and not graphs_inside(node)


def _replace_unknown(graph: GraphProto) -> None:
    import onnx

    weights = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    made = [stand_in(node, weights) for node in graph.node]
    graph.ClearField("node")
    for each in made:
        graph.node.extend(each.nodes)
        for name, shape in each.given.items():
            graph.input.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))


def _known(graph: GraphProto) -> dict[str, Tensor]:
    known = {tensor.name: Tensor(tuple(tensor.dims), _bits(tensor.data_type)) for tensor in graph.initializer}
    for entry in (*graph.value_info, *graph.input, *graph.output):
        tensor = entry.type.tensor_type
        if tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            known[entry.name] = Tensor(tuple(dim.dim_value for dim in tensor.shape.dim), _bits(tensor.elem_type))
    return known


def _bits(kind: int) -> int:
    import onnx

    name = onnx.TensorProto.DataType.Name(kind)
    if name in {"UNDEFINED", "STRING"}:
        return 0
    return PACKED_BITS.get(name) or 8 * int(onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize)
