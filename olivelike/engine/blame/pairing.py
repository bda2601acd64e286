"""Pairing a model with its quantized form: which values are in both, and the units between them that can be put back in float.

Quantizers keep the names of a model's values, or add an ending to them. A value that both models make cuts them into pieces:
the nodes of BASE between the values it reads and the value it makes, and the nodes of QUANTIZED between the same two. Where
QUANTIZED's piece computes on integers, it is a unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from olivelike.errors import InputError, OlivelikeError, fail
from olivelike.onnxfile.quantized import Grid, is_quantized, output_grid
from olivelike.onnxfile.read import opset, signature_of
from olivelike.onnxfile.sizes import byte_count
from olivelike.onnxfile.wiring import leading_to, makers, reads

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

INTEGER_ENDING = "_quantized"
"""What ONNX Runtime's quantizers put behind the name of a value for its integers (`TENSOR_NAME_QUANT_SUFFIX`)."""
ACTIVATIONS = frozenset({"Relu", "Clip"})
"""What quantizers leave out, because the range of the integers does the same. Applying one twice changes nothing."""


@dataclass(frozen=True, slots=True)
class Shared:
    """A value of BASE as QUANTIZED holds it.

    Attributes:
        real: the name of its real numbers, which is BASE's; empty where there are only integers.
        integer: the name of its integers, where a quantized operator makes them; else empty.
        grid: what the integers stand for.
    """

    real: str
    integer: str
    grid: Grid

    @property
    def names(self) -> tuple[str, ...]:
        """The names that it has in QUANTIZED."""
        return tuple(name for name in (self.real, self.integer) if name)


@dataclass(frozen=True, slots=True)
class Unit:
    """What can be put back in float by itself.

    Attributes:
        name: the node of BASE that it is called by, the one with weights where there is one.
        kind: that node's operator type.
        nodes: all nodes of BASE in it, but constants, by name.
        values: the values of BASE that it makes.
        base: the places of BASE's nodes.
        quantized: the places of QUANTIZED's nodes that do the same.
        weight_bytes: the bytes of the weights that BASE's nodes read.
    """

    name: str
    kind: str
    nodes: tuple[str, ...]
    values: tuple[str, ...]
    base: tuple[int, ...]
    quantized: tuple[int, ...]
    weight_bytes: int

    @property
    def excluded(self) -> tuple[str, ...]:
        """The nodes to name in a quantizing pass's `exclude_nodes`."""
        return self.nodes


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two models that do the same, one of them quantized.

    Attributes:
        base: the model, its weights inside.
        quantized: its quantized form, its weights inside.
        shared: the values of BASE that QUANTIZED makes too.
        units: in BASE's order.
        unmatched: quantized nodes of QUANTIZED that are in no unit, by name.
        base_makers: which node of BASE makes a value.
        quantized_makers: which node of QUANTIZED makes a value.
    """

    base: ModelProto
    quantized: ModelProto
    shared: Mapping[str, Shared]
    units: tuple[Unit, ...]
    unmatched: tuple[str, ...]
    base_makers: dict[str, int] = field(repr=False)
    quantized_makers: dict[str, int] = field(repr=False)


def pair(base: ModelProto, quantized: ModelProto) -> Pairing:
    """Finds the units by which two models can be mixed.

    Args:
        base: the model before it was quantized.
        quantized: the model after.

    Raises:
        InputError: OL115, the models take or give different values, import different operator sets, or have nothing quantized
            in common.
    """
    _check_alike(base, quantized)
    base_makers, quantized_makers = makers(base.graph.node), makers(quantized.graph.node)
    shared = _shared(base, quantized, base_makers, quantized_makers)
    units = tuple(_units(base, quantized, shared, base_makers, quantized_makers))
    inside = {place for unit in units for place in unit.quantized}
    unmatched = tuple(
        node.name or f"{node.op_type} -> {node.output[0]}"
        for place, node in enumerate(quantized.graph.node)
        if is_quantized(node.op_type) and place not in inside
    )
    if not units:
        raise _nothing(unmatched)
    return Pairing(base, quantized, shared, units, unmatched, base_makers, quantized_makers)


def _check_alike(base: ModelProto, quantized: ModelProto) -> None:
    ours, theirs = signature_of(base), signature_of(quantized)
    for what, first, second in (("takes", ours.inputs, theirs.inputs), ("gives", ours.outputs, theirs.outputs)):
        left, right = ({value.name: value.dtype for value in values} for values in (first, second))
        if left != right:
            claim = f"BASE {what} {_listed(left)}, and QUANTIZED {what} {_listed(right)}"
            raise _not_alike(claim, "name the model that QUANTIZED was made from")
    if base.graph.sparse_initializer:
        raise _not_alike("BASE has sparse weights, which cannot be put back", "store them as dense initializers")
    domains = {node.domain for node in base.graph.node} & {node.domain for node in quantized.graph.node}
    for domain in sorted({"" if name == "ai.onnx" else name for name in domains}):
        versions = opset(base, domain), opset(quantized, domain)
        if versions[0] != versions[1]:
            claim = f"BASE is of opset {versions[0]} and QUANTIZED of opset {versions[1]}{domain and f' in {domain}'}"
            hint = f"bring BASE to it first: olivelike apply convert_opset BASE -o NEW.onnx target={versions[1]}"
            raise _not_alike(claim, hint)


def _listed(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({dtype})" for name, dtype in values.items()) or "nothing"


def _not_alike(claim: str, hint: str) -> OlivelikeError:
    return fail(InputError, "OL115", f"the two models cannot be compared: {claim}", hint=hint)


def _nothing(unmatched: Sequence[str]) -> OlivelikeError:
    if unmatched:
        claim = f"none of the {len(unmatched)} quantized nodes lies between values that BASE has by the same name"
        hint = "name as BASE the very file that was quantized (after `simplify`, if that came first)"
    else:
        claim, hint = "QUANTIZED computes nothing on quantized values", "name the quantized model second"
    return fail(InputError, "OL115", claim, hint=hint)


def _shared(
    base: ModelProto, quantized: ModelProto, base_makers: dict[str, int], quantized_makers: dict[str, int]
) -> dict[str, Shared]:
    """Returns the values that both models make and that depend on what they are fed."""
    found = {}
    varying = _varying(base)
    for name in base_makers:
        integer = name + INTEGER_ENDING
        grid = _grid(integer, quantized, quantized_makers)
        real = name if name in quantized_makers else ""
        if name in varying and (real or grid.known):
            found[name] = Shared(real, integer if grid.known else "", grid)
    return found


def _grid(integer: str, quantized: ModelProto, quantized_makers: dict[str, int]) -> Grid:
    """Returns the grid of integers that an operator computes; none of those that are rounded from real numbers beside them."""
    if integer not in quantized_makers:
        return Grid()
    node = quantized.graph.node[quantized_makers[integer]]
    return Grid() if node.op_type == "QuantizeLinear" else output_grid(node)


def _varying(model: ModelProto) -> set[str]:
    """Returns the values that depend on a model's inputs."""
    found = {value.name for value in signature_of(model).inputs}
    for node in model.graph.node:
        if not found.isdisjoint(reads(node)):
            found.update(name for name in node.output if name)
    return found


def _units(
    base: ModelProto,
    quantized: ModelProto,
    shared: Mapping[str, Shared],
    base_makers: dict[str, int],
    quantized_makers: dict[str, int],
) -> Iterator[Unit]:
    names, weights = node_names(base), {tensor.name: tensor for tensor in base.graph.initializer}
    all_theirs = {name for value in shared.values() for name in value.names}
    together: dict[int, list[str]] = {}  # a node that makes several values is put back as a whole
    for name in shared:
        together.setdefault(base_makers[name], []).append(name)
    for values in together.values():
        ours = leading_to(values, base.graph.node, base_makers, shared.keys() - set(values))
        own = {name for value in values for name in shared[value].names}
        theirs = leading_to(own, quantized.graph.node, quantized_makers, all_theirs - own)
        if any(is_quantized(quantized.graph.node[place].op_type) for place in theirs):
            yield _unit(base, names, weights, values, ours, theirs)


def _unit(
    base: ModelProto,
    names: Sequence[str],
    weights: Mapping[str, TensorProto],
    values: Sequence[str],
    ours: Sequence[int],
    theirs: Sequence[int],
) -> Unit:
    nodes = base.graph.node
    read = {name for place in ours for name in reads(nodes[place]) if name in weights}
    main = _main(nodes, ours, weights)
    listed = tuple(names[place] for place in ours if nodes[place].op_type not in {"Constant", *ACTIVATIONS})
    return Unit(
        names[main],
        nodes[main].op_type,
        listed or (names[main],),
        tuple(values),
        tuple(ours),
        tuple(theirs),
        sum(byte_count(weights[name]) for name in read),
    )


def _main(nodes: Sequence[NodeProto], places: Sequence[int], weights: Mapping[str, TensorProto]) -> int:
    """Returns the node that a unit is called by: the last with the most weights, an activation only where it is alone."""

    def rank(place: int) -> tuple[bool, int, int]:
        node = nodes[place]
        held = sum(byte_count(weights[name]) for name in reads(node) if name in weights)
        return node.op_type not in ACTIVATIONS, held, place

    return max(places, key=rank)


def node_names(model: ModelProto) -> tuple[str, ...]:
    """Returns a name for every node of the main graph: its own, or the one that the quantizing passes give it.

    They turn constants into initializers before they count.
    """
    names, taken, index = [], set[str](), 0
    for node in model.graph.node:
        name = node.name if node.name and node.name not in taken else f"{node.name or node.op_type}_{index}"
        taken.add(name)
        names.append(name)
        index += node.op_type != "Constant"
    return tuple(names)
