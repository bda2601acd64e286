"""The integer forms of a model's weights: announced once each, made as the model is written, one weight at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.onnxfile.made import Made
from olivelike.onnxfile.tensors import kept_apart, mapped
from olivelike.onnxfile.walk import graphs
from olivelike_passes.quantization.integers import Axis, Integers, codes_of, extremes, grid_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, TensorProto

    from olivelike_passes.quantization.integers import Codes

    Make = Callable[[], Sequence[Codes]]


@dataclass(frozen=True, slots=True)
class Form:
    """How a weight is looked at while it is quantized, and how its codes lie in the model.

    Attributes:
        rows: of the weight as a matrix; its columns are the rest.
        axis: what has a grid of its own.
        shape: the codes' shape in the order in which they lie in the weight.
        order: the order of those axes in the model.
        grid: the shape of scale and zero point; where there is one grid for all, it is repeated to fill it.
        one_zero: whether an operator takes a single zero point; the codes must be symmetric then.
        columns: whether scale and zero point are wanted as columns `[rows, 1]` too, to look them up with the rows.
    """

    rows: int
    axis: Axis
    shape: tuple[int, ...]
    order: tuple[int, ...]
    grid: tuple[int, ...]
    one_zero: bool = False
    columns: bool = False


@dataclass(frozen=True, slots=True)
class Coded:
    """The names of a weight's integer form; those of the columns are empty unless asked for."""

    codes: str
    scale: str
    zero_point: str
    scale_column: str = ""
    zero_column: str = ""


class Names:
    """Names that no value has in any graph of a model."""

    def __init__(self, model: ModelProto) -> None:
        """Takes in the names that are taken."""
        self._taken: set[str] = set()
        for graph in graphs(model):
            self._taken.update(entry.name for entry in (*graph.input, *graph.initializer))
            self._taken.update(each.values.name for each in graph.sparse_initializer)
            self._taken.update(name for node in graph.node for name in (*node.input, *node.output))

    def free(self, wanted: str) -> str:
        """Returns a name like the one wanted, and keeps it."""
        name, number = wanted, 0
        while name in self._taken:
            number += 1
            name = f"{wanted}_{number}"
        self._taken.add(name)
        return name


class IntegerWeights:
    """Gives weights of a model their integer form; the same weight in the same form is given once."""

    def __init__(self, model: ModelProto, path: Path, integers: Integers) -> None:
        """Starts without any.

        Args:
            model: to which initializers are added, all in the main graph, where branches and loops see them too.
            path: the file beside which external data lie.
            integers: the type of the codes.
        """
        self.names = Names(model)
        self.made = Made()
        self._model = model
        self._path = path
        self._integers = integers
        self._forms: dict[tuple[int, Form], tuple[Coded, TensorProto]] = {}
        self._plain: dict[tuple[int, tuple[int, ...]], tuple[str, TensorProto]] = {}

    @property
    def integers(self) -> Integers:
        """The type of the codes."""
        return self._integers

    def coded(self, tensor: TensorProto, form: Form) -> Coded:
        """Returns the names of a weight's codes and of their grid."""
        key = (id(tensor), form)
        if key not in self._forms:
            self._forms[key] = (self._announce(tensor, form), tensor)  # held, so that its id stays its own
        return self._forms[key][0]

    def reshaped(self, tensor: TensorProto, shape: tuple[int, ...]) -> str:
        """Returns the name of a float weight of the same values in another shape."""
        key = (id(tensor), shape)
        if key not in self._plain:
            name = self.names.free(f"{tensor.name}_reshaped")
            source = kept_apart(tensor)
            self._add([(name, tensor.data_type, shape)], lambda: [mapped(source, self._path)])
            self._plain[key] = (name, tensor)
        return self._plain[key][0]

    def _announce(self, tensor: TensorProto, form: Form) -> Coded:
        import onnx

        free = self.names.free
        integer = int(onnx.TensorProto.DataType.Value(self._integers.name.upper()))
        dims = tuple(form.shape[place] for place in form.order)
        zero_dims = () if form.one_zero else form.grid
        ends = ("quantized", "scale", "zero_point", *(("scale_column", "zero_point_column") if form.columns else ()))
        coded = Coded(*(free(f"{tensor.name}_{end}") for end in ends))
        wanted = [
            (coded.codes, integer, dims),
            (coded.scale, int(onnx.TensorProto.FLOAT), form.grid),
            (coded.zero_point, integer, zero_dims),
        ]
        if form.columns:
            column = (form.rows, 1)
            wanted += [(coded.scale_column, int(onnx.TensorProto.FLOAT), column), (coded.zero_column, integer, column)]
        source = kept_apart(tensor)
        self._add(wanted, lambda: _values(mapped(source, self._path), source.name, form, self._integers))
        return coded

    def _add(self, wanted: Sequence[tuple[str, int, tuple[int, ...]]], make: Make) -> None:
        import onnx

        tensors = [onnx.TensorProto(name=name, data_type=kind, dims=dims) for name, kind, dims in wanted]
        self._model.graph.initializer.extend(tensors)
        self.made.announce(tensors, make)


def _values(weight: NDArray[np.generic], name: str, form: Form, integers: Integers) -> list[Codes]:
    matrix = weight.reshape(form.rows, -1)
    grid = grid_of(*extremes(matrix, form.axis, name), integers)
    codes = codes_of(matrix, grid, form.axis, integers).reshape(form.shape).transpose(form.order)
    zero = grid.zero_point[:1].reshape(()) if form.one_zero else _filled(grid.zero_point, form.grid)
    made: list[Codes] = [codes, _filled(grid.scale, form.grid), zero]
    if form.columns:
        made += [_filled(grid.scale, (form.rows, 1)), _filled(grid.zero_point, (form.rows, 1))]
    return made


def _filled(values: Codes, shape: tuple[int, ...]) -> Codes:
    import numpy as np

    return np.broadcast_to(values.reshape(()), shape) if values.size == 1 else values.reshape(shape)
