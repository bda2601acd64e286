"""Large weights of a model while the runtime's tool quantizes it: stand-ins that span the same range, and back.

The tool takes scales from a weight's extremes and nothing else. So it is given, for each channel, two numbers: the lowest and the
highest. From the scales that it finds, the codes are made as the model is written, one weight at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike.onnxfile.light import SMALL
from olivelike.onnxfile.made import Made
from olivelike.onnxfile.sizes import byte_count
from olivelike_passes.quantization.integers import Axis, Grid, Integers, Name, codes_of, extremes
from olivelike_passes.quantization.static.sources import Sources
from olivelike_passes.quantization.tool import Scheme, weight_grid
from olivelike_passes.slices import ELEMENTS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto, TensorProto

    from olivelike_passes.quantization.integers import Codes

    Values = NDArray[np.generic]
    Round = Callable[[Values, Grid, Axis, Integers], Codes]

AXES = {"Conv": 0, "ConvTranspose": 1, "MatMul": 1, "Gather": 0}
"""The axis of a weight's channels by operator (onnxruntime/quantization/operators); of `Gemm` by `transB`."""
ENDS = ("_quantized", "_scale", "_zero_point")


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight whose codes are made later.

    Attributes:
        tensor: its name, type and shape.
        axis: of its channels.
        values: returns its values, of the tensor's shape.
        rounded: makes its codes, seen as a matrix.
    """

    tensor: TensorProto
    axis: int
    values: Callable[[], Values]
    rounded: Round = codes_of

    @property
    def rows(self) -> int:
        """Rows of the weight as a matrix: its first axis."""
        return int(self.tensor.dims[0])


def weights_of(model: ModelProto, sources: Sources, above: int = SMALL) -> Iterator[Weight]:
    """Yields the weights of the main graph that nothing but products, convolutions and look-ups take, along one axis.

    Args:
        model: a structure whose constants are initializers.
        sources: gives their values.
        above: the bytes that a weight must have more of.
    """
    users: dict[str, list[tuple[NodeProto, int]]] = {}
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            users.setdefault(name, []).append((node, place))
    ends = {entry.name for entry in (*model.graph.input, *model.graph.output)}
    for tensor in model.graph.initializer:
        axes = {_axis(node, place, tensor) for node, place in users.get(tensor.name, ())}
        fit = tensor.data_type == tensor.FLOAT and len(tensor.dims) > 1 and tensor.name not in ends
        if fit and len(axes) == 1 and -1 not in axes and byte_count(tensor) > above:
            yield Weight(tensor, axes.pop(), sources.reader(tensor.name))


def stand_in(weight: Weight) -> TensorProto:
    """Returns a small tensor with a weight's name and the extremes of each of its channels.

    Raises:
        RefusedError: OL301, a value is NaN or infinite.
    """
    import numpy as np
    import onnx

    matrix, axis = _matrix(weight.values(), weight.axis)
    low, high = extremes(matrix, axis, weight.tensor.name)
    shape = [1] * len(weight.tensor.dims)
    shape[weight.axis] = low.size
    other = 1 if weight.axis == 0 else 0
    both = np.concatenate([low.reshape(shape), high.reshape(shape)], axis=other)
    made: TensorProto = onnx.numpy_helper.from_array(both, weight.tensor.name)
    return made


def announce_codes(model: ModelProto, weights: Mapping[str, Weight], sources: Sources, made: Made) -> None:
    """Announces the codes of weights in the place of those of their stand-ins, and puts back weights that stayed, in place.

    Args:
        model: what the tool made of the model with stand-ins.
        weights: by name.
        sources: where they come from.
        made: takes the announcements.
    """
    import onnx

    held = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, weight in weights.items():
        if name in held:  # a node that stays in float32 reads it
            held[name].CopyFrom(_float(weight, sources))
        if name + ENDS[0] not in held:
            continue
        codes, scale, zero = (held[name + end] for end in ENDS)
        kind = onnx.TensorProto.DataType.Name(codes.data_type).lower()
        zeros = onnx.numpy_helper.to_array(zero).reshape(-1)
        grid = Grid(
            onnx.numpy_helper.to_array(scale).reshape(-1), zeros.astype(zeros.dtype.name.replace("int4", "int8"))
        )
        integers = Integers(_name(kind), symmetric=False)  # the scale keeps codes inside a smaller range
        codes.CopyFrom(onnx.TensorProto(name=codes.name, data_type=codes.data_type, dims=weight.tensor.dims))
        made.announce([codes], _maker(weight, grid, integers))


def lost(weight: Weight, scheme: Scheme) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yields what rounding takes from a weight on the grid that the tool takes, slice by slice.

    The weight is seen as a matrix: of two axes as it is, of more with its channels as the rows.

    Args:
        weight: the weight.
        scheme: how it is rounded.

    Yields:
        Rows of the matrix, in order, and the differences in them, float64 `[rows, columns]`.
    """
    import numpy as np

    matrix, axis = _matrix(weight.values(), weight.axis)
    if not scheme.per_channel:
        axis = "none"
    grid = weight_grid(*extremes(matrix, axis, weight.tensor.name), scheme)
    integers = Integers(scheme.weight_type, symmetric=False)
    codes = weight.rounded(matrix, grid, axis, integers)
    shape = (-1, 1) if axis == "rows" else (1, -1)
    scale, zero = (part.astype(np.float64).reshape(shape) for part in (grid.scale, grid.zero_point))
    rows = max(ELEMENTS // max(matrix.shape[1], 1), 1)
    for start in range(0, matrix.shape[0], rows):
        part = slice(start, min(start + rows, matrix.shape[0]))
        own = part if axis == "rows" else slice(None)
        real = (codes[part].astype(np.float64) - zero[own]) * scale[own]
        yield part, matrix[part].astype(np.float64) - real


def _float(weight: Weight, sources: Sources) -> TensorProto:
    import onnx

    if not sources.changed(weight.tensor.name):
        return weight.tensor
    tensor: TensorProto = onnx.numpy_helper.from_array(weight.values(), weight.tensor.name)
    return tensor


def _maker(weight: Weight, grid: Grid, integers: Integers) -> Callable[[], list[Codes]]:
    def make() -> list[Codes]:
        if grid.scale.size == 1:
            values = weight.values()
            codes = weight.rounded(values.reshape(weight.rows, -1), grid, "none", integers).reshape(values.shape)
        else:
            codes = _by_channel(weight, grid, integers)
        return [packed(codes) if integers.name.endswith("int4") else codes]

    return make


def _by_channel(weight: Weight, grid: Grid, integers: Integers) -> Codes:
    import numpy as np

    values = weight.values()
    matrix, axis = _matrix(values, weight.axis)
    codes = weight.rounded(matrix, grid, axis, integers)
    if weight.axis == 0 or values.ndim == 2:
        return codes.reshape(values.shape)
    return np.moveaxis(codes.reshape(np.moveaxis(values, weight.axis, 0).shape), 0, weight.axis)


def packed(codes: Codes) -> Codes:
    """Returns 4-bit codes two to a byte, the first in the lower half (onnx.proto, `TensorProto.INT4`)."""
    import numpy as np

    flat = codes.reshape(-1).view(np.uint8) & 0x0F
    if flat.size % 2:
        flat = np.append(flat, np.uint8(0))
    return flat[0::2] | (flat[1::2] << 4)


def _matrix(values: Values, axis: int) -> tuple[Values, Axis]:
    """Returns a weight as a matrix, and whether its channels are the rows of it or the columns."""
    import numpy as np

    if axis == 0:
        return values.reshape(values.shape[0], -1), "rows"
    if values.ndim == 2:
        return values, "columns"
    return np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1), "rows"


def _axis(node: NodeProto, place: int, tensor: TensorProto) -> int:
    """Returns the axis of a weight's channels for a node that takes it; -1 where it is no weight there."""
    if node.domain not in ("", "ai.onnx") or place != (0 if node.op_type == "Gather" else 1):
        return -1
    if node.op_type == "Gemm":
        turned = next((attribute.i for attribute in node.attribute if attribute.name == "transB"), 0)
        return 0 if turned else 1
    if node.op_type == "MatMul" and len(tensor.dims) != 2:
        return -1
    return AXES.get(node.op_type, -1)


def _name(kind: str) -> Name:
    match kind:
        case "int8" | "uint8" | "int16" | "uint16" | "int4" | "uint4":
            return kind
    raise ValueError(f"the runtime's tool gave the type {kind}")
