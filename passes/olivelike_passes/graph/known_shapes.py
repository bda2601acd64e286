"""What shapes say before the model runs: sizes of fixed dimensions become constants, axes added twice are added at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from olivelike.onnxfile.external import is_external
from olivelike.onnxfile.inference import forget_stated_shapes, inferred
from olivelike.onnxfile.light import without_weights
from olivelike.onnxfile.names import Names, all_names
from olivelike.onnxfile.read import opset
from olivelike.onnxfile.wiring import makers
from olivelike_passes.weights import replaceable_weights

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

AXES_ARE_INPUTS = 13
"""From this opset on `Unsqueeze` reads its axes, and `Slice` has long done so."""
WHOLE = (6, 7)
"""The element types int32 and int64, as `TensorProto.DataType` counts them."""
LONGEST = 64
"""Constants of more numbers are no indices or axes."""


def use_known_shapes(model: ModelProto) -> None:
    """Puts a constant where a size is read off a shape that has it fixed, and merges `Unsqueeze` of `Unsqueeze`, in place.

    Of `Shape` followed by `Gather` or `Slice` with constant indices. Only the main graph is looked at. Nodes that lead nowhere
    afterwards stay: `cleanup.clean` takes them out.
    """
    if opset(model) < AXES_ARE_INPUTS:
        return
    numbers = _Numbers(model)
    made_by = makers(model.graph.node)
    _merge_axes(model.graph, made_by, numbers)
    readers = [node for node in model.graph.node if _reads_a_shape(node, model.graph, made_by, numbers)]
    if readers:
        shapes = _Shapes(model, made_by, numbers)
        outputs = {entry.name for entry in model.graph.output}
        for node in readers:
            shape = model.graph.node[made_by[node.input[0]]]
            dims = shapes.of(shape.input[0])
            bounds = {attribute.name: attribute.i for attribute in shape.attribute}
            sizes = _selected(node, dims[bounds.get("start") : bounds.get("end")], numbers)
            if sizes is not None and node.output[0] not in outputs:
                numbers.make_constant(node, sizes)


class _Numbers:
    """The main graph's small whole numbers, by name."""

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        replaceable = replaceable_weights(model)
        self._found = {t.name: t for t in model.graph.initializer if t.name not in replaceable and len(t.dims) <= 1}
        self._names = Names(all_names(model))

    def of(self, name: str) -> list[int] | None:
        """Returns the numbers of a constant of rank 0 or 1; nothing if it is none."""
        from onnx import TensorProto, numpy_helper

        tensor = self._found.get(name)
        if tensor is None or tensor.data_type not in (TensorProto.INT64, TensorProto.INT32) or is_external(tensor):
            return None
        if tensor.dims and tensor.dims[0] > LONGEST:
            return None
        return [int(number) for number in numpy_helper.to_array(tensor).reshape(-1)]

    def is_scalar(self, name: str) -> bool:
        """Whether a constant has rank 0."""
        return name in self._found and not self._found[name].dims

    def add(self, name: str, values: Sequence[int]) -> str:
        """Adds a constant under a name made from this one, and returns the name."""
        import numpy as np
        from onnx import numpy_helper

        name = self._names.fresh(name)
        self.model.graph.initializer.append(numpy_helper.from_array(np.asarray(values, np.int64), name))
        self._found[name] = self.model.graph.initializer[-1]
        return name

    def make_constant(self, node: NodeProto, sizes: Sequence[int] | int) -> None:
        """Turns a node into a `Constant` that gives these numbers under its output's name."""
        import numpy as np
        import onnx

        value = onnx.numpy_helper.from_array(np.asarray(sizes, np.int64), node.output[0])
        fresh = onnx.helper.make_node("Constant", [], list(node.output), name=node.name, value=value)
        node.CopyFrom(fresh)


def _merge_axes(graph: GraphProto, made_by: Mapping[str, int], numbers: _Numbers) -> None:
    for node in graph.node:
        if node.op_type != "Unsqueeze" or node.domain or node.input[0] not in made_by:
            continue
        before = graph.node[made_by[node.input[0]]]
        if before.op_type != "Unsqueeze" or before.domain:
            continue
        inner, outer = (numbers.of(each.input[1]) for each in (before, node))
        if inner and outer and min(*inner, *outer) >= 0:
            node.input[0] = before.input[0]
            node.input[1] = numbers.add(f"{node.output[0]}_axes", _joined(inner, outer))


def _joined(inner: Sequence[int], outer: Sequence[int]) -> list[int]:
    """Returns the axes that add in one go what `inner` and then `outer` add; counted in the result's dimensions.

    >>> _joined([0, 1], [3])
    [0, 1, 3]
    >>> _joined([0], [0])
    [0, 1]
    """
    free = [place for place in range(max(inner) + len(outer) + max(outer) + 2) if place not in outer]
    return sorted({*outer, *(free[place] for place in inner)})


def _reads_a_shape(node: NodeProto, graph: GraphProto, made_by: Mapping[str, int], numbers: _Numbers) -> bool:
    if node.op_type not in {"Gather", "Slice"} or node.domain or node.input[0] not in made_by:
        return False
    shape = graph.node[made_by[node.input[0]]]
    return (
        shape.op_type == "Shape"
        and not shape.domain
        and all(numbers.of(name) is not None for name in node.input[1:] if name)
    )


def _selected(node: NodeProto, dims: Sequence[int | None], numbers: _Numbers) -> list[int] | int | None:
    """Returns the sizes that a node reads off a shape; nothing where one of them is not fixed."""
    if not dims:
        return None
    places: Sequence[int]
    if node.op_type == "Gather":
        places = [place + len(dims) if place < 0 else place for place in numbers.of(node.input[1]) or ()]
    else:
        bounds = [numbers.of(name) for name in (*node.input[1:3], *node.input[4:5]) if name]
        if any(each is None or len(each) != 1 for each in bounds):
            return None
        places = range(len(dims))[slice(*(each[0] for each in bounds if each))]
    if any(place >= len(dims) or place < 0 for place in places):
        return None
    sizes = [dims[place] for place in places]
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        return None
    return known[0] if node.op_type == "Gather" and numbers.is_scalar(node.input[1]) else known


class _Shapes:
    """What is known of the dimensions of values: by ONNX's own inference, and of what a shape put together gives."""

    def __init__(self, model: ModelProto, made_by: Mapping[str, int], numbers: _Numbers) -> None:
        found = inferred(_bare(model))
        self._dims: dict[str, list[int | None]] = {
            entry.name: [
                dim.dim_value if dim.HasField("dim_value") else None for dim in entry.type.tensor_type.shape.dim
            ]
            for entry in (*found.graph.value_info, *found.graph.input, *found.graph.output)
            if entry.type.tensor_type.HasField("shape")
        }
        self._nodes, self._made_by, self._numbers = model.graph.node, made_by, numbers

    def of(self, name: str) -> list[int | None]:
        """Returns the dimensions of a value, those that are not fixed as nothing; empty where not even the rank is known."""
        dims = self._dims.get(name, [])
        if name not in self._made_by:
            return dims
        node = self._nodes[self._made_by[name]]
        if node.op_type != "Reshape" or node.domain:
            return dims
        asked = [size if size and size > 0 else None for size in self._partly(node.input[1])]
        if len(dims) != len(asked):
            return dims or asked
        return [own if own is not None else size for own, size in zip(dims, asked, strict=True)]

    def _partly(self, name: str) -> list[int | None]:
        """Returns the numbers of a vector that is put together of constants and sizes, those unknown as nothing."""
        numbers = self._numbers.of(name)
        if numbers is not None:
            return list(numbers)
        if name in self._made_by:
            node = self._nodes[self._made_by[name]]
            if node.op_type == "Concat" and not node.domain:
                parts = [self._partly(part) for part in node.input]
                return [number for part in parts for number in part] if all(parts) else []
        length = self._dims.get(name, [])
        return [None] * (length[0] or 0) if len(length) == 1 else []


def _bare(model: ModelProto) -> ModelProto:
    """Returns a model without what it says of values that it computes: only what can be inferred counts.

    Casts to anything but whole numbers are left out: ONNX's inference sees through one to bool as if it kept the number.
    """
    bare = without_weights(model, None)
    forget_stated_shapes(bare)
    for place in reversed(range(len(bare.graph.node))):
        node = bare.graph.node[place]
        if node.op_type == "Cast" and not any(attribute.i in WHOLE for attribute in node.attribute):
            del bare.graph.node[place]
    return bare
