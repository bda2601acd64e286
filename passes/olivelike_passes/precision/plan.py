"""Which values of a model become narrow: for every node what it is to read and to make, decided before anything is changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from olivelike.onnxfile.wiring import graphs_inside, reads
from olivelike_passes.precision.angles import before_angles, first_output
from olivelike_passes.precision.definitions import OWN, Definition, definition_of
from olivelike_passes.precision.kinds import BY_ATTRIBUTE, FLOAT, kind_of, kinds_made, tensor_kind

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto, NodeProto

OPENED = ("If", "Loop", "Scan")
"""Operators whose graphs are converted with the graph around them."""


@dataclass(slots=True, eq=False)
class Value:
    """A value of a graph.

    Attributes:
        name: its name as it was.
        kind: its type as it was; empty where that is not known.
        is_weight: whether it is an initializer that nothing replaces.
        narrow: whether what makes it makes it narrow.
        wanted: what is to read it: narrow (True), as it was (False), or both.
    """

    name: str
    kind: str
    is_weight: bool = False
    narrow: bool = False
    wanted: set[bool] = field(default_factory=set)


@dataclass(slots=True)
class Step:
    """A node and what it is to become.

    Attributes:
        node: the node.
        takes: place of an input, its value, and whether it is to be narrow; float32 tensors only.
        makes: place of an output and its value; named outputs only.
        captured: for a node that stays whole, the float32 values that graphs inside it read.
        inside: the graphs inside it that are converted, in the order of `graphs_inside`.
    """

    node: NodeProto
    takes: list[tuple[int, Value, bool]] = field(default_factory=list)
    makes: list[tuple[int, Value]] = field(default_factory=list)
    captured: list[Value] = field(default_factory=list)
    inside: list[Part] = field(default_factory=list)


@dataclass(slots=True)
class Part:
    """A graph and what it is to become.

    Attributes:
        graph: the graph.
        values: its own values by name.
        steps: its nodes in order.
        outputs: its outputs that are float32 tensors, and whether they are to be narrow.
    """

    graph: GraphProto
    values: dict[str, Value]
    steps: list[Step]
    outputs: list[tuple[Value, bool]]


@dataclass(frozen=True, slots=True)
class Scheme:
    """What a plan is made by.

    Attributes:
        narrow: the narrow type, as ONNX writes it (`tensor(float16)`).
        stays: whether a node stays in float32 though its operator is defined for the narrow type.
        opsets: domain to the version that the model imports.
        functions: the model's own operators.
        known: types of the main graph's values that nothing in the model tells.
        ends: whether the main graph's inputs and outputs become narrow too.
        replaceable: initializers that are inputs as well.
    """

    narrow: str
    stays: Callable[[NodeProto], bool]
    opsets: Mapping[str, int]
    functions: Mapping[tuple[str, str], FunctionProto]
    known: Mapping[str, str]
    ends: bool
    replaceable: Collection[str]


def planned(graph: GraphProto, scheme: Scheme) -> Part:
    """Returns the plan for a main graph, whose nodes stand in order."""
    return _part(graph, {}, scheme, {}, outputs_narrow=scheme.ends, main=True)


def _part(
    graph: GraphProto,
    around: Mapping[str, Value],
    scheme: Scheme,
    given: Mapping[str, str],
    *,
    outputs_narrow: bool,
    main: bool = False,
) -> Part:
    values = _held(graph, scheme, given, main=main)
    declared = {entry.name: kind_of(entry) for entry in (*graph.value_info, *graph.output)}
    declared = {**(scheme.known if main else {}), **{name: kind for name, kind in declared.items() if kind}}
    angles = before_angles(graph)
    steps = []
    for node in graph.node:
        seen = {**around, **values}
        step = _step(node, seen, scheme, declared, stays=scheme.stays(node) or first_output(node) in angles)
        values |= {value.name: value for _, value in step.makes}
        steps.append(step)
    seen = {**around, **values}
    outputs = []
    for entry in graph.output:
        value = seen.get(entry.name)
        if value is not None and value.kind == FLOAT:
            value.wanted.add(outputs_narrow)
            outputs.append((value, outputs_narrow))
    return Part(graph, values, steps, outputs)


def _held(graph: GraphProto, scheme: Scheme, given: Mapping[str, str], *, main: bool) -> dict[str, Value]:
    """Returns the values that a graph is given or holds."""
    narrow = scheme.ends if main else True
    values = {}
    for tensor in graph.initializer:
        values[tensor.name] = Value(tensor.name, tensor_kind(tensor.data_type), is_weight=True)
    for sparse in graph.sparse_initializer:
        values[sparse.values.name] = Value(sparse.values.name, tensor_kind(sparse.values.data_type))
    for entry in graph.input:
        kind = kind_of(entry) or given.get(entry.name, "")
        if entry.name not in values or (main and entry.name in scheme.replaceable):
            values[entry.name] = Value(entry.name, kind, narrow=narrow and kind == FLOAT)
    return values


def _step(
    node: NodeProto, seen: Mapping[str, Value], scheme: Scheme, declared: Mapping[str, str], *, stays: bool
) -> Step:
    given = [seen[name].kind if name in seen else "" for name in node.input]
    if node.op_type in OPENED and node.domain in OWN:
        return _opened(node, given, seen, scheme, declared, stays=stays)
    made = kinds_made(node, given, scheme.opsets, scheme.functions)
    kinds = [declared.get(name, "") or kind for name, kind in zip(node.output, made, strict=True)]
    foreign = (node.domain, node.op_type) in scheme.functions or bool(graphs_inside(node))
    definition = None if stays or foreign else definition_of(node, scheme.opsets)
    if definition is None or any("(float)" in kind and kind != FLOAT for kind in (*given, *kinds)):
        return _whole(node, kinds, seen)
    can = _narrowable(node, definition, given, kinds, scheme.narrow)
    step = Step(node)
    for place, (name, kind) in enumerate(zip(node.input, given, strict=True)):
        if kind == FLOAT:
            _take(step, place, seen[name], narrow=definition.input(place) in can)
    for place, (name, kind) in enumerate(zip(node.output, kinds, strict=True)):
        if name:
            narrow = kind == FLOAT and definition.output(place) in can
            step.makes.append((place, Value(name, kind, narrow=narrow)))
    return step


def _narrowable(
    node: NodeProto, definition: Definition, given: Sequence[str], kinds: Sequence[str], narrow: str
) -> set[str]:
    """Returns the type variables of a node's definition that stand for float32 and can stand for the narrow type."""
    bound = {definition.input(place): kind for place, kind in enumerate(given) if kind}
    if node.domain in OWN and node.op_type in BY_ATTRIBUTE and kinds:
        bound.setdefault(definition.output(0), kinds[0])
    return {
        name
        for name, kind in bound.items()
        if kind == FLOAT and name in definition.allowed and narrow in definition.allowed[name]
    }


def _take(step: Step, place: int, value: Value, *, narrow: bool) -> None:
    value.wanted.add(narrow)
    step.takes.append((place, value, narrow))


def _whole(node: NodeProto, kinds: Sequence[str], seen: Mapping[str, Value]) -> Step:
    """Returns the step of a node that stays in float32 with all that is inside it."""
    step = Step(node)
    for place, name in enumerate(node.input):
        if name in seen and seen[name].kind == FLOAT:
            _take(step, place, seen[name], narrow=False)
    for name in reads(node):
        if name in seen and seen[name].kind == FLOAT and name not in node.input:
            seen[name].wanted.add(False)
            step.captured.append(seen[name])
    step.makes = [(place, Value(name, kinds[place])) for place, name in enumerate(node.output) if name]
    return step


def _opened(
    node: NodeProto,
    given: Sequence[str],
    seen: Mapping[str, Value],
    scheme: Scheme,
    declared: Mapping[str, str],
    *,
    stays: bool,
) -> Step:
    """Returns the step of an operator whose graphs are converted too; what flows between them and it becomes narrow."""
    handed = _handed_in(node, given)
    if stays:
        # Its graphs are looked at for their types alone: nothing is wanted of the values around them.
        copies = {name: Value(value.name, value.kind) for name, value in seen.items()}
        inside = [_inner(graph, copies, scheme, handed) for graph in graphs_inside(node)[:1]]
        return _whole(node, _kinds_of_opened(node, inside, copies, declared), seen)
    step = Step(node, inside=[_inner(graph, seen, scheme, handed) for graph in graphs_inside(node)])
    kinds = _kinds_of_opened(node, step.inside, seen, declared)
    for place, (name, kind) in enumerate(zip(node.input, given, strict=True)):
        if kind == FLOAT:
            _take(step, place, seen[name], narrow=True)
    step.makes = [
        (place, Value(name, kinds[place], narrow=kinds[place] == FLOAT))
        for place, name in enumerate(node.output)
        if name
    ]
    return step


def _inner(graph: GraphProto, around: Mapping[str, Value], scheme: Scheme, handed: Sequence[str]) -> Part:
    kinds = {entry.name: kind for entry, kind in zip(graph.input, handed, strict=False)}
    return _part(graph, around, scheme, kinds, outputs_narrow=True)


def _handed_in(node: NodeProto, given: Sequence[str]) -> list[str]:
    """Returns the types of what a loop's body is given: of the inputs behind the trip count, its own are known."""
    match node.op_type:
        case "Loop":
            return ["tensor(int64)", "tensor(bool)", *given[2:]]
        case "Scan":
            return list(given)
        case _:
            return []


def _kinds_of_opened(
    node: NodeProto, inside: Sequence[Part], around: Mapping[str, Value], declared: Mapping[str, str]
) -> list[str]:
    """Returns the types that an operator with graphs inside gives: those of a branch's or a body's outputs."""
    own = {**around, **inside[0].values}
    ends = inside[0].graph.output
    found = [kind_of(entry) or (own[entry.name].kind if entry.name in own else "") for entry in ends]
    found = found[1:] if node.op_type == "Loop" else found
    return [declared.get(name, "") or kind for name, kind in zip(node.output, found, strict=False)]


def unknown(part: Part) -> list[str]:
    """Returns the values of a plan whose types nothing tells and which a node reads that is to become narrow."""
    found = []
    for step in part.steps:
        found += [value.name for _, value in step.makes if not value.kind]
        for inner in step.inside:
            found += unknown(inner)
    return found


def steps_of(part: Part) -> Iterator[Step]:
    """Yields the steps of a plan, those inside others too."""
    for step in part.steps:
        yield step
        for inner in step.inside:
            yield from steps_of(inner)


def is_narrow(step: Step) -> bool:
    """Whether a node takes or makes something narrow."""
    return any(narrow for _, _, narrow in step.takes) or any(value.narrow for _, value in step.makes)


def is_wide(step: Step) -> bool:
    """Whether a node computes with float32 tensors and with nothing narrow."""
    floats = bool(step.takes) or any(value.kind == FLOAT for _, value in step.makes)
    return floats and not is_narrow(step)
