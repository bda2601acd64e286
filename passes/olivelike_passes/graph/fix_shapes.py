"""The pass `fix_shapes`: dynamic dimensions become numbers, and what follows from them does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.errors import RefusedError, fail, nearest
from olivelike.onnxfile.inference import inferred_strictly
from olivelike.onnxfile.light import without_weights
from olivelike_passes.graph.dim_formulas import evaluated, words
from olivelike_passes.graph.dimensions import shapes_of, stated_shapes
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.graph.patterns import by_name, matching_none

if TYPE_CHECKING:
    from onnx import ModelProto, TensorShapeProto, ValueInfoProto

Size: TypeAlias = Annotated[int, Field(ge=0)]


class FixShapesConfig(PassConfig):
    """Which sizes `fix_shapes` fixes."""

    dims: dict[str, Size] = Field(default_factory=dict)
    """Dimensions by name, each with its size (`batch: 1`), wherever they stand, in formulas too (`past + new`)."""
    inputs: dict[str, list[Size | Literal["keep"]]] = Field(default_factory=dict)
    """Inputs by name or pattern (one `*`), each with its whole shape (`image: [1, 3, 224, 224]`, `"past.*": [1, 8, 64, 64]`);
    `keep` leaves a dimension as it is. A name that a dimension has is fixed with it, everywhere."""

    @model_validator(mode="after")
    def _asks_for_something(self) -> FixShapesConfig:
        if not self.dims and not self.inputs:
            raise ValueError("nothing to fix: give dims or inputs")
        return self


class FixShapes(GraphPass[FixShapesConfig]):
    """Gives dynamic dimensions fixed sizes.

    What it does:
        Writes the numbers into the inputs and everywhere else where the dimensions' names stand, works out what formulas
        over them come to, and infers the shapes of outputs, and of the inner values whose shapes the model states.

    When to use it:
        For NPUs and compilers that take fixed shapes only, and before `simplify`, which computes what depends on shapes alone.

    Limits:
        The model takes no other sizes afterwards. Refuses names that no input has, sizes that contradict a fixed one or each
        other, and sizes that the operators cannot have. An output whose size depends on values keeps it dynamic; the notes
        name what stays dynamic. Shapes of inner values that the model does not state are `simplify: {infer_shapes: true}`'s.

    Example:
        ```yaml
        passes:
          - fix_shapes: {dims: {batch: 1, height: 224, width: 224}}
          - simplify: {}
        ```
    """

    name = "fix_shapes"
    config = FixShapesConfig
    lossless = True

    def unsuitable(self, model: ModelProto, config: FixShapesConfig, target: Target) -> Sequence[str]:
        """Refuses unknown names and contradictions."""
        return _read_sizes(model, config).problems

    def rewrite(self, model: ModelProto, source: Artifact, config: FixShapesConfig, context: PassContext) -> Rewritten:
        """Writes the numbers, then what follows from them.

        Raises:
            RefusedError: OL301, some operator cannot have these sizes.
        """
        dynamic = without_weights(model, source.model)
        numbers = _read_sizes(model, config).numbers
        entries = {entry.name: entry for entry in _inputs(model)}
        for name, shape in by_name(config.inputs, entries).items():
            _set_shape(entries[name], shape)
        for stated in stated_shapes(model):
            _put_in(stated, numbers)
        _infer_the_rest(model, dynamic, source)
        left = {entry.name: names for entry in _ends(model) if (names := _dynamic(entry))}
        return Rewritten(model, {"dims": dict(numbers), "dynamic": {name: list(names) for name, names in left.items()}})


@dataclass(slots=True)
class _Sizes:
    """What the configuration comes to: the number of each named dimension, and why it cannot be had."""

    numbers: dict[str, int]
    problems: list[str] = field(default_factory=list)


def _read_sizes(model: ModelProto, config: FixShapesConfig) -> _Sizes:
    sizes = _Sizes(dict(config.dims))
    entries = {entry.name: entry for entry in _inputs(model)}
    known = dict.fromkeys(
        word for entry in entries.values() for dim in _dims(entry) for word in words(dim.dim_param) if word
    )
    for name in config.dims:
        if name not in known:
            sizes.problems.append(f"no input has a dimension {name!r}; {nearest(name, known)}")
    for name in matching_none(config.inputs, entries):
        sizes.problems.append(f"the model has no input {name!r}; {nearest(name, entries)}")
    wanted = by_name(config.inputs, entries)
    for name, shape in wanted.items():
        _take_shape(sizes, entries[name], shape)
    sizes.problems += _contradictions(sizes.numbers, wanted, entries)
    return sizes


def _take_shape(sizes: _Sizes, entry: ValueInfoProto, shape: Sequence[int | Literal["keep"]]) -> None:
    """Reads the sizes of dimensions off the shape that an input is to have."""
    tensor = entry.type.tensor_type
    if entry.type.WhichOneof("value") != "tensor_type":
        sizes.problems.append(f"the input {entry.name!r} is no tensor")
    elif tensor.HasField("shape") and len(tensor.shape.dim) != len(shape):
        got = f"the input {entry.name!r} has {len(tensor.shape.dim)} dimensions"
        sizes.problems.append(f"{got}, and {list(shape)} has {len(shape)}")
    elif not tensor.HasField("shape") and "keep" in shape:
        sizes.problems.append(f"the input {entry.name!r} has no shape of which anything could be kept")
    else:
        for place, (dim, size) in enumerate(zip(tensor.shape.dim, shape, strict=False)):
            if size == "keep":
                continue
            if dim.HasField("dim_value") and dim.dim_value != size:
                what = f"dimension {place} of the input {entry.name!r} is {dim.dim_value}"
                sizes.problems.append(f"{what} for good, and cannot be {size}")
            elif dim.dim_param and sizes.numbers.setdefault(dim.dim_param, size) != size:
                known = sizes.numbers[dim.dim_param]
                sizes.problems.append(f"the dimension {dim.dim_param!r} would be {known} and {size}")


def _contradictions(
    numbers: Mapping[str, int],
    shapes: Mapping[str, Sequence[int | Literal["keep"]]],
    entries: Mapping[str, ValueInfoProto],
) -> Iterator[str]:
    """Yields where a formula comes to another number than was asked for, or to less than none."""
    single = {name: number for name, number in numbers.items() if words(name) == (name,)}
    for entry in entries.values():
        wanted = dict(enumerate(shapes.get(entry.name, ())))
        for place, dim in enumerate(_dims(entry)):
            value = evaluated(dim.dim_param, single)
            if not isinstance(value, int):
                continue
            if value < 0:
                yield f"{dim.dim_param!r} of the input {entry.name!r} would be {value}"
            elif wanted.get(place, value) not in (value, "keep") and dim.dim_param not in single:
                yield f"{dim.dim_param!r} of the input {entry.name!r} comes to {value}, and cannot be {wanted[place]}"


def _infer_the_rest(model: ModelProto, dynamic: ModelProto, source: Artifact) -> None:
    """Takes over the numbers that shape inference finds for outputs and for the inner values whose types are stated."""
    light = without_weights(model, source.model)
    del light.graph.value_info[:]  # what is stated there may have been true of the dynamic model alone
    found = inferred_strictly(light)
    if found.failed and not inferred_strictly(dynamic).failed:
        claim = f"an operator cannot have these sizes: {found.failed}"
        raise fail(RefusedError, "OL301", claim, hint="give the sizes that the model was trained or exported for")
    known = {entry.name: entry for entry in (*found.model.graph.value_info, *found.model.graph.output)}
    for entry in (*model.graph.output, *model.graph.value_info):
        if entry.name in known:
            _take_numbers(entry, known[entry.name])


def _take_numbers(entry: ValueInfoProto, found: ValueInfoProto) -> None:
    """Puts inferred numbers where a value's shape has none; the names that inference makes up are left."""
    if found.type.WhichOneof("value") != "tensor_type" or entry.type.WhichOneof("value") != "tensor_type":
        return
    shape, other = entry.type.tensor_type.shape, found.type.tensor_type.shape
    if not found.type.tensor_type.HasField("shape"):
        return
    if not entry.type.tensor_type.HasField("shape") or len(shape.dim) != len(other.dim):
        shape.CopyFrom(other)
        for dim in shape.dim:
            dim.ClearField("dim_param")
        return
    for dim, better in zip(shape.dim, other.dim, strict=True):
        if better.HasField("dim_value"):
            dim.dim_value = better.dim_value


def _set_shape(entry: ValueInfoProto, shape: Sequence[int | Literal["keep"]]) -> None:
    stated = entry.type.tensor_type.shape
    if not entry.type.tensor_type.HasField("shape"):
        entry.type.tensor_type.shape.SetInParent()
        stated.dim.extend(type(stated).Dimension() for _ in shape)
    for dim, size in zip(stated.dim, shape, strict=True):
        if size != "keep":
            dim.dim_value = size


def _put_in(shape: TensorShapeProto, numbers: Mapping[str, int]) -> None:
    for dim in shape.dim:
        value = evaluated(dim.dim_param, numbers) if dim.dim_param else ""
        if isinstance(value, int) and value >= 0:
            dim.dim_value = value
        elif isinstance(value, str) and value:
            dim.dim_param = value


def _inputs(model: ModelProto) -> list[ValueInfoProto]:
    held = {tensor.name for tensor in model.graph.initializer}
    return [entry for entry in model.graph.input if entry.name not in held]


def _ends(model: ModelProto) -> list[ValueInfoProto]:
    return [*_inputs(model), *model.graph.output]


def _dims(entry: ValueInfoProto) -> list[TensorShapeProto.Dimension]:
    return [dim for shape in shapes_of(entry) for dim in shape.dim]


def _dynamic(entry: ValueInfoProto) -> list[str]:
    return [dim.dim_param or "?" for dim in _dims(entry) if not dim.HasField("dim_value")]
