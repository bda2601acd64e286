"""A model in a narrower float, by its plan: casts where narrow meets wide, weights made narrow as they are written."""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from olivelike.digest import Json
from olivelike.onnxfile.made import Made
from olivelike.onnxfile.names import Names, all_names
from olivelike.onnxfile.tensors import mapped
from olivelike.onnxfile.walk import tensors
from olivelike.onnxfile.wiring import graphs_inside, rename_reads
from olivelike_passes.header import replace_all
from olivelike_passes.precision.definitions import OWN
from olivelike_passes.precision.kinds import BY_ATTRIBUTE
from olivelike_passes.precision.narrow import Narrow, narrowed
from olivelike_passes.precision.plan import Part, Step, Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

    Raw = NDArray[np.generic]

Versions: TypeAlias = "ChainMap[tuple[Value, bool], str]"
"""A value and whether it is meant narrow, to the name by which it is read so."""


@dataclass(slots=True)
class Outcome:
    """What became of constant numbers; it fills as weights are written.

    Attributes:
        made: the values of the new weights.
        clipped: weights, and values filled with one number, that are beyond the range, and how many numbers are.
        lifted: the same for numbers that are too small.
    """

    made: Made = field(default_factory=Made)
    clipped: dict[str, Json] = field(default_factory=dict)
    lifted: dict[str, Json] = field(default_factory=dict)


def convert(model: ModelProto, part: Part, source: Path, to: Narrow, *, ends: bool) -> Outcome:
    """Converts a model as planned, in place.

    Args:
        model: the structure that the plan was made for.
        part: the plan of its main graph.
        source: the file it was read from.
        to: the narrow type.
        ends: whether inputs and outputs become narrow too.
    """
    import onnx

    outcome = Outcome()
    number = onnx.TensorProto.FLOAT16 if to == "float16" else onnx.TensorProto.BFLOAT16
    counts = Counter(tensor.name for tensor in tensors(model))
    unique = {name for name, count in counts.items() if count == 1}
    writer = _Writer(source, to, number, outcome, Names(all_names(model)), unique)
    writer.convert(part, ChainMap(), main=True)
    if ends:
        for entry in (*model.graph.input, *model.graph.output):
            if entry.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
                entry.type.tensor_type.elem_type = number
    return outcome


@dataclass(slots=True)
class _Writer:
    source: Path
    to: Narrow
    number: int
    outcome: Outcome
    taken: Names
    unique: Collection[str]
    nodes: list[NodeProto] = field(default_factory=list)

    def convert(self, part: Part, around: Versions, *, main: bool = False) -> None:
        """Converts a graph in place."""
        versions = around.new_child()
        behind, self.nodes = self.nodes, []
        fixed = {value.name: narrow for value, narrow in part.outputs} if main else {}
        self._hold(part, versions, fixed)
        for step in part.steps:
            self._step(step, versions, fixed)
        if not main:
            for entry in part.graph.output:
                value = next((value for value, _ in part.outputs if value.name == entry.name), None)
                if value is not None:
                    entry.name = self._read(value, True, versions)
                    if entry.type.tensor_type.elem_type:
                        entry.type.tensor_type.elem_type = self.number
            self._retype(part.graph.input, part, versions)
        else:
            for value, narrow in part.outputs:
                self._read(value, narrow, versions)
        self._retype(part.graph.value_info, part, versions)
        replace_all(part.graph.node, self.nodes)
        self.nodes = behind

    def _hold(self, part: Part, versions: Versions, fixed: dict[str, bool]) -> None:
        """Gives the graph's inputs their versions, and its weights those that are wanted."""
        for value in part.values.values():
            if not value.is_weight and value.kind == "tensor(float)":
                versions[value, value.narrow] = value.name
        kept = []
        for tensor in part.graph.initializer:
            value = part.values[tensor.name]
            if value.kind != "tensor(float)":
                kept.append(tensor)
            elif not value.is_weight:  # it is an input as well
                kept.append(self._narrow(tensor, tensor.name) if value.narrow else tensor)
            else:
                kept += self._versions_of(tensor, value, versions, fixed)
        replace_all(part.graph.initializer, kept)

    def _versions_of(
        self, tensor: TensorProto, value: Value, versions: Versions, fixed: dict[str, bool]
    ) -> list[TensorProto]:
        kept = []
        first = fixed.get(value.name, not value.wanted or False not in value.wanted)
        for narrow in sorted(value.wanted or {False}, key=lambda each: each != first):
            name = value.name if narrow == first or not value.wanted else self._fresh(value.name, narrow)
            versions[value, narrow] = name
            if narrow:
                kept.append(self._narrow(tensor, name))
            else:
                copy = type(tensor)()
                copy.CopyFrom(tensor)
                copy.name = name
                kept.append(copy)
        return kept

    def _step(self, step: Step, versions: Versions, fixed: dict[str, bool]) -> None:
        node = step.node
        if graphs_inside(node) and not step.inside:
            read = [*step.captured, *(value for _, value, _ in step.takes)]
            names = {value.name: self._read(value, False, versions) for value in read}
            rename_reads(node, {old: new for old, new in names.items() if old != new})
        else:
            for place, value, narrow in step.takes:
                node.input[place] = self._read(value, narrow, versions)
        for inner in step.inside:
            self.convert(inner, versions)
        self.nodes.append(node)
        for place, value in step.makes:
            if value.kind == "tensor(float)":
                self._make(node, place, value, versions, fixed)

    def _make(self, node: NodeProto, place: int, value: Value, versions: Versions, fixed: dict[str, bool]) -> None:
        """Gives what a node makes its name: an output of the model that is wanted otherwise is cast from another."""
        if value.narrow:
            self._say_type(node, value.name)
        if fixed.get(value.name, value.narrow) != value.narrow:
            node.output[place] = self._fresh(value.name, value.narrow)
        versions[value, value.narrow] = node.output[place]
        if node.output[place] != value.name:
            self._cast(value, not value.narrow, value.name, versions)

    def _read(self, value: Value, narrow: bool, versions: Versions) -> str:
        """Returns the name by which a value is read in the narrow or the wide type, casting it where that is new."""
        if (value, narrow) not in versions:
            self._cast(value, narrow, self._fresh(value.name, narrow), versions)
        return versions[value, narrow]

    def _cast(self, value: Value, narrow: bool, name: str, versions: Versions) -> None:
        import onnx

        to = self.number if narrow else onnx.TensorProto.FLOAT
        origin = versions[value, not narrow]
        self.nodes.append(onnx.helper.make_node("Cast", [origin], [name], name=f"Cast_{name}", to=to))
        versions[value, narrow] = name

    def _narrow(self, tensor: TensorProto, name: str) -> TensorProto:
        import onnx

        made = onnx.TensorProto(name=name, data_type=self.number, dims=tensor.dims)
        held = type(tensor)()
        held.CopyFrom(tensor)
        make = partial(_values, held, self.source, self.to, self.outcome)
        if tensor.name in self.unique:
            self.outcome.made.announce([made], make)
        else:  # graphs beside each other may use one name, by which values could not be announced
            made.raw_data = make()[0].tobytes()
        return made

    def _retype(self, entries: Iterable[ValueInfoProto], part: Part, versions: Versions) -> None:
        for entry in entries:
            name, value = entry.name, part.values.get(entry.name)
            if value is not None and value.kind == "tensor(float)" and versions.get((value, True)) == name:
                entry.type.tensor_type.elem_type = self.number

    def _say_type(self, node: NodeProto, made: str) -> None:
        """Sets the attribute of an operator that says what type it makes; a number that it holds becomes narrow as weights do."""
        import onnx

        if node.domain not in OWN or node.op_type not in BY_ATTRIBUTE:
            return
        name, _ = BY_ATTRIBUTE[node.op_type]
        found = next((attribute for attribute in node.attribute if attribute.name == name), None)
        if name == "value":
            filled = self._filled(found, made)
            if found is None:
                node.attribute.append(onnx.helper.make_attribute(name, filled))
            else:
                found.t.CopyFrom(filled)
        elif found is None:
            node.attribute.append(onnx.helper.make_attribute(name, self.number))
        else:
            found.i = self.number

    def _filled(self, found: AttributeProto | None, made: str) -> TensorProto:
        import numpy as np
        import onnx

        held = np.zeros(1, np.float32) if found is None else onnx.numpy_helper.to_array(found.t).reshape(-1)[:1]
        number = _counted(held, made, self.to, self.outcome)
        return onnx.helper.make_tensor("value", self.number, [1], [float(number[0])])

    def _fresh(self, name: str, narrow: bool) -> str:
        return self.taken.fresh(f"{name}_{self.to if narrow else 'float32'}")


def _values(tensor: TensorProto, source: Path, to: Narrow, outcome: Outcome) -> Sequence[Raw]:
    return [_counted(mapped(tensor, source), tensor.name, to, outcome)]


def _counted(values: Raw, name: str, to: Narrow, outcome: Outcome) -> Raw:
    found = narrowed(values, to)  # type: ignore[arg-type]
    if found.clipped:
        outcome.clipped[name] = found.clipped
    if found.lifted:
        outcome.lifted[name] = found.lifted
    return found.values
