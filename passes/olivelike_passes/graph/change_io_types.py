"""The pass `change_io_types`: inputs and outputs in another element type, with casts at the edges and nothing else changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import Field, model_validator

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.errors import nearest
from olivelike.onnxfile.inference import inferred_strictly
from olivelike.onnxfile.names import Names, all_names
from olivelike.onnxfile.read import WIDE_NAMES, opset
from olivelike.onnxfile.wiring import reads, rename_reads, rename_values
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.graph.patterns import by_name, matching_none
from olivelike_passes.graph.rename_io import TRAINING
from olivelike_passes.header import replace_all

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, ValueInfoProto

ElementType: TypeAlias = Literal[
    "float32", "float16", "bfloat16", "float64",
    "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool",
]  # fmt: skip
TYPES: tuple[ElementType, ...] = ElementType.__args__  # type: ignore[attr-defined]
NARROW_NAMES = {wide: narrow for narrow, wide in WIDE_NAMES.items()}
BFLOAT16_OPSET = 13
"""From this opset on `Cast` knows bfloat16."""


class ChangeIoTypesConfig(PassConfig):
    """Which element types `change_io_types` changes."""

    inputs: dict[str, ElementType] = Field(default_factory=dict)
    """Inputs by name or pattern (one `*`), each with its new element type (`image: uint8`)."""
    outputs: dict[str, ElementType] = Field(default_factory=dict)
    """Outputs by name or pattern, each with its new element type."""
    types: dict[ElementType, ElementType] = Field(default_factory=dict)
    """All other inputs and outputs of an element type, old type to new (`int64: int32`)."""

    @model_validator(mode="after")
    def _asks_for_something(self) -> ChangeIoTypesConfig:
        if not self.inputs and not self.outputs and not self.types:
            raise ValueError("nothing to change: give inputs, outputs or types")
        return self


class ChangeIoTypes(GraphPass[ChangeIoTypesConfig]):
    """Gives inputs and outputs another element type.

    What it does:
        Puts a `Cast` behind each input and before each output that changes; the model computes inside as it did. Where the
        model casts an input to the new type itself, or an output from it, the two casts become none where that is exact.
        Where nothing changes the model stays.

    When to use it:
        Where the program around the model has other types: half-precision buffers after `float16`, int32 token ids, images
        that come as uint8.

    Limits:
        Values are cast, not scaled: an image of 0 to 255 stays one. What does not fit the new type is cut off or becomes
        infinite. Refuses strings, sequences, optional and sparse values, 8-bit floats and 4-bit integers, and one value that
        is both an input and an output unless both change alike.

    Example:
        ```yaml
        passes:
          - float16: {}
          - change_io_types: {types: {float32: float16}, inputs: {input_ids: int32}}
        ```
    """

    name = "change_io_types"
    config = ChangeIoTypesConfig

    def unsuitable(self, model: ModelProto, config: ChangeIoTypesConfig, target: Target) -> Sequence[str]:
        """Refuses unknown names, and types that cannot be cast."""
        found = [TRAINING] if model.training_info else []
        found += [*_unknown("input", _inputs(model), config.inputs)]
        found += [*_unknown("output", model.graph.output, config.outputs)]
        return found or [*_impossible(model, _changes(model, config))]

    def rewrite(
        self, model: ModelProto, source: Artifact, config: ChangeIoTypesConfig, context: PassContext
    ) -> Rewritten:
        """Casts what changes."""
        changes = _changes(model, config)
        old = {entry.name: _type(entry) for entry in _ends(model)}
        exact = {name: kind for name, kind in changes.all.items() if _is_exact(kind, old[name])}
        origins = _origins(model, source, {name: exact[name] for name in changes.outputs if name in exact})
        inner = _move_inside(model, changes.all)
        before = [_cast(name, inner[name], old[name]) for name in changes.inputs]
        behind = [
            _cast(inner[name], name, kind) for name, kind in changes.outputs.items() if name not in changes.inputs
        ]
        _read_directly(model, {inner[name]: name for name in changes.inputs if name in exact}, exact)
        _make_directly(model, {inner.get(origin, origin): name for name, origin in origins.items()}, behind)
        _put_around(model, before, behind)
        for entries, types in ((_inputs(model), changes.inputs), (model.graph.output, changes.outputs)):
            _set_types(entries, types)
        return Rewritten(model, {"before": {name: old[name] for name in changes.all}, "after": {**changes.all}})


@dataclass(frozen=True, slots=True)
class _Changes:
    """The new types of inputs and outputs, of those that change."""

    inputs: Mapping[str, ElementType]
    outputs: Mapping[str, ElementType]

    @property
    def all(self) -> dict[str, ElementType]:
        return {**self.outputs, **self.inputs}


def _changes(model: ModelProto, config: ChangeIoTypesConfig) -> _Changes:
    return _Changes(
        _changed(_inputs(model), config.inputs, config.types),
        _changed(model.graph.output, config.outputs, config.types),
    )


def _changed(
    entries: Iterable[ValueInfoProto], wanted: Mapping[str, ElementType], types: Mapping[ElementType, ElementType]
) -> dict[str, ElementType]:
    old = {entry.name: _type(entry) for entry in entries}
    by_type = {str(kind): wanted_kind for kind, wanted_kind in types.items()}
    new = {name: by_type[kind] for name, kind in old.items() if kind in by_type} | by_name(wanted, old)
    return {name: kind for name, kind in new.items() if kind != old[name]}


def _unknown(side: str, entries: Iterable[ValueInfoProto], wanted: Iterable[str]) -> Iterator[str]:
    names = [entry.name for entry in entries]
    for name in matching_none(wanted, names):
        yield f"the model has no {side} {name!r}; {nearest(name, names)}"


def _impossible(model: ModelProto, changes: _Changes) -> Iterator[str]:
    """Yields what cannot be cast, and what would have two types."""
    old = {entry.name: _type(entry) for entry in _ends(model)}
    for name in changes.all:
        if old[name] not in TYPES:
            yield f"{name!r} holds {old[name]}, which no cast here changes"
    inputs = {entry.name for entry in model.graph.input}
    for name in sorted(inputs.intersection(entry.name for entry in model.graph.output)):
        if changes.inputs.get(name) != changes.outputs.get(name):
            yield f"{name!r} is an input and an output at once: both must change, to one type"
    kinds = {kind for name, new in changes.all.items() for kind in (new, old[name])}
    if "bfloat16" in kinds and opset(model) < BFLOAT16_OPSET:
        yield f"bfloat16 takes opset {BFLOAT16_OPSET}: put `convert_opset: {{target: 17}}` before it"


def _origins(model: ModelProto, source: Artifact, outputs: Mapping[str, ElementType]) -> dict[str, str]:
    """Returns, for each output that the model casts from its new type, the value that it casts."""
    makers = {node.output[0]: node for node in model.graph.node if _is_cast(node)}
    found = {name: makers[name].input[0] for name in outputs if name in makers}
    if not found:
        return {}
    typed = inferred_strictly(model, source.model).model.graph
    kinds = {entry.name: _type(entry) for entry in (*typed.value_info, *typed.input)}
    kinds |= {tensor.name: _named(tensor.data_type) for tensor in typed.initializer}
    return {name: origin for name, origin in found.items() if kinds.get(origin) == outputs[name]}


def _move_inside(model: ModelProto, names: Iterable[str]) -> dict[str, str]:
    """Gives the values behind inputs and outputs new names inside the graph, and returns them; the ends keep theirs."""
    free = Names(all_names(model))
    inner = {name: free.fresh(f"{name}_inside") for name in names}
    ends = [(entry, entry.name) for entry in (*_inputs(model), *model.graph.output)]
    rename_values(model.graph, inner)
    for entry, name in ends:
        entry.name = name
    return inner


def _read_directly(model: ModelProto, inputs: Mapping[str, str], types: Mapping[str, ElementType]) -> None:
    """Lets what reads the model's own cast of an input to the type that it has now read the input itself."""
    ends = {entry.name for entry in model.graph.output}
    direct = {}
    for node in model.graph.node:
        name = inputs.get(node.input[0], "") if _is_cast(node) else ""
        if name and _named(node.attribute[0].i) == types[name] and node.output[0] not in ends:
            direct[node.output[0]] = name
    for node in model.graph.node:
        rename_reads(node, direct)


def _make_directly(model: ModelProto, outputs: Mapping[str, str], behind: list[NodeProto]) -> None:
    """Lets the values that the model casts from the type which an output has now be the output itself."""
    ends = {entry.name for entry in model.graph.output}
    made = {name for node in model.graph.node for name in node.output} - ends
    direct = {origin: name for origin, name in outputs.items() if origin in made}
    rename_values(model.graph, direct)
    behind[:] = [node for node in behind if node.output[0] not in direct.values()]


def _put_around(model: ModelProto, before: Sequence[NodeProto], behind: Sequence[NodeProto]) -> None:
    """Puts casts at both ends of a graph; of all casts, those whose value nothing reads go."""
    used = {entry.name for entry in model.graph.output}
    made: set[str] = set()
    kept: list[NodeProto] = []
    for node in reversed([*before, *model.graph.node, *behind]):
        if not _is_cast(node) or used.intersection(node.output):
            kept.append(node)
            used.update(reads(node))
            made.update(node.output)
    replace_all(model.graph.node, kept[::-1])
    inner = made - {entry.name for entry in model.graph.output}
    replace_all(model.graph.value_info, [entry for entry in model.graph.value_info if entry.name in inner])


def _cast(value: str, to: str, kind: str) -> NodeProto:
    import onnx

    target = onnx.TensorProto.DataType.Value(NARROW_NAMES.get(kind, kind).upper())
    return onnx.helper.make_node("Cast", [value], [to], name=f"Cast_{to}", to=target)


def _is_cast(node: NodeProto) -> bool:
    # From opset 19 on `saturate`, from 24 on `round_mode` may stand beside `to`; both are about 8-bit floats alone.
    return node.op_type == "Cast" and node.domain in ("", "ai.onnx") and [a.name for a in node.attribute] == ["to"]


def _is_exact(kind: str, wider: str) -> bool:
    """Whether a value keeps what it is on the way to a wider type and back."""
    import numpy as np

    if "bfloat16" in (kind, wider):
        return kind == "bfloat16" and wider in ("float32", "float64")
    return wider in TYPES and bool(np.can_cast(kind, wider, "safe"))


def _set_types(entries: Iterable[ValueInfoProto], types: Mapping[str, ElementType]) -> None:
    import onnx

    for entry in entries:
        if entry.name in types:
            kind = types[entry.name]
            entry.type.tensor_type.elem_type = onnx.TensorProto.DataType.Value(NARROW_NAMES.get(kind, kind).upper())


def _inputs(model: ModelProto) -> list[ValueInfoProto]:
    held = {tensor.name for tensor in model.graph.initializer}
    return [entry for entry in model.graph.input if entry.name not in held]


def _ends(model: ModelProto) -> list[ValueInfoProto]:
    return [*_inputs(model), *model.graph.output]


def _type(entry: ValueInfoProto) -> str:
    """Returns a tensor's element type as numpy calls it, or what else a value is."""
    kind = entry.type.WhichOneof("value") or "a value of unknown type"
    return _named(entry.type.tensor_type.elem_type) if kind == "tensor_type" else kind.removesuffix("_type")


def _named(number: int) -> str:
    import onnx

    name: str = onnx.TensorProto.DataType.Name(number).lower()
    return WIDE_NAMES.get(name, name)
