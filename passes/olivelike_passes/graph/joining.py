"""Parts of a model joined one by one: what meets must fit, what is the same is held once, other names are kept apart."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact
from olivelike.onnxfile.external import is_external
from olivelike.onnxfile.read import opset, read_structure, signature_of
from olivelike.onnxfile.tensors import raw_pieces
from olivelike.onnxfile.walk import tensors
from olivelike.onnxfile.wiring import graphs_inside, put_in_order
from olivelike_passes.graph.chain import is_pure
from olivelike_passes.header import replace_all, unite_imports
from olivelike_passes.weights import FREE_WEIGHTS_IR, free_weights

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

HEADER = ("producer_name", "producer_version", "domain", "model_version", "doc_string")


@dataclass(frozen=True, slots=True)
class Part:
    """One part's structure.

    Attributes:
        name: its name in the artifact.
        model: what it computes; external data are named as seen from the artifact's folder.
        file: a path beside which they lie.
        inputs: what it takes, weights that may be replaced left out.
        outputs: what it gives.
    """

    name: str
    model: ModelProto
    file: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read_part(source: Artifact, name: str) -> Part:
    """Reads a part without its external data."""
    file = source.manifest.parts[name]
    model = read_structure(source.folder / file)
    put_in_order(model)
    unite_imports(model)
    _seen_from_root(model, PurePosixPath(file).parent)
    ends = signature_of(model)
    inputs = tuple(value.name for value in ends.inputs)
    return Part(name, model, source.folder / "model.onnx", inputs, tuple(value.name for value in ends.outputs))


def in_order(models: Mapping[str, ModelProto]) -> list[str]:
    """Returns the names of parts, each behind those that give what it takes; of several that could be next, the first named.

    Parts that take from each other in a circle have no order: they come last, and `unfit` says what they wait for.
    """
    takes = {name: {value.name for value in signature_of(model).inputs} for name, model in models.items()}
    gives = {name: {entry.name for entry in model.graph.output} - takes[name] for name, model in models.items()}
    ordered: list[str] = []
    waiting = list(models)
    while waiting:
        ready = next((name for name in waiting if not _waits(name, waiting, takes, gives)), "")
        if not ready:
            return ordered + waiting
        ordered.append(ready)
        waiting.remove(ready)
    return ordered


def _waits(name: str, waiting: Sequence[str], takes: Mapping[str, set[str]], gives: Mapping[str, set[str]]) -> bool:
    return any(takes[name] & gives[other] for other in waiting)


def unfit(models: Mapping[str, ModelProto]) -> list[str]:
    """Returns why parts, in the order in which they run, make no model."""
    found: list[str] = []
    if any(model.training_info for model in models.values()):
        found.append("a part holds training graphs, which belong to it alone")
    domains = {entry.domain for model in models.values() for entry in model.opset_import}
    for domain in sorted(domains - {"ai.onnx"}):
        versions = {name: version for name, model in models.items() if (version := opset(model, domain))}
        if len(set(versions.values())) > 1:
            told = ", ".join(f"{name} {version}" for name, version in versions.items())
            found.append(
                f"the parts import different versions of {domain or 'ai.onnx'}: {told}; use convert_opset first"
            )
    return found + _unfit_functions(models) + _unfit_values(models)


def _unfit_functions(models: Mapping[str, ModelProto]) -> list[str]:
    found: list[str] = []
    known: dict[tuple[str, str, str], tuple[str, FunctionProto]] = {}
    for name, model in models.items():
        for function in model.functions:
            other, first = known.setdefault(_key(function), (name, function))
            if first != function:
                found.append(f"{other} and {name} define the function {function.domain}.{function.name} differently")
    return found


def _key(function: FunctionProto) -> tuple[str, str, str]:
    return function.domain, function.name, function.overload


def _unfit_values(models: Mapping[str, ModelProto]) -> list[str]:
    found: list[str] = []
    declared: dict[str, tuple[str, ValueInfoProto]] = {}
    makers: dict[str, str] = {}
    read: dict[str, str] = {}
    for name, model in models.items():
        given = {value.name for value in signature_of(model).inputs}
        for entry in (*(e for e in model.graph.input if e.name in given), *model.graph.output):
            other, known = declared.setdefault(entry.name, (name, entry))
            if not _fits(known, entry):
                found.append(f"{entry.name!r} is {_told(known)} in {other} and {_told(entry)} in {name}")
        for entry in model.graph.output:
            if entry.name in given:
                continue
            if entry.name in makers:
                found.append(f"both {makers[entry.name]} and {name} make {entry.name!r}")
            elif entry.name in read:
                found.append(f"{read[entry.name]} reads {entry.name!r}, which the later part {name} makes")
            makers[entry.name] = name
        read |= {each: name for each in given if each not in read and each not in makers}
    return found


def _fits(one: ValueInfoProto, other: ValueInfoProto) -> bool:
    if one.type.WhichOneof("value") != "tensor_type" or other.type.WhichOneof("value") != "tensor_type":
        return bool(one.type == other.type)
    left, right = one.type.tensor_type, other.type.tensor_type
    if left.elem_type != right.elem_type:
        return False
    if not left.HasField("shape") or not right.HasField("shape"):
        return True
    if len(left.shape.dim) != len(right.shape.dim):
        return False
    pairs = zip(left.shape.dim, right.shape.dim, strict=True)
    return all(a.dim_value == b.dim_value for a, b in pairs if a.HasField("dim_value") and b.HasField("dim_value"))


def _told(entry: ValueInfoProto) -> str:
    import onnx

    return onnx.helper.printable_type(entry.type) if entry.type.WhichOneof("value") else "of no type"


class Joined:
    """The parts so far."""

    def __init__(self) -> None:
        """Begins with nothing."""
        import onnx

        self._model = onnx.ModelProto()
        self._entries: dict[str, ValueInfoProto] = {}
        self._weights: dict[str, tuple[Part, TensorProto]] = {}
        self._values: set[str] = set()
        self._texts: dict[str, bytes] = {}
        self._nodes: set[str] = set()

    def add(self, part: Part) -> None:
        """Adds the next part."""
        _head(self._model, part.model)
        graph = part.model.graph
        meet = {*part.inputs, *part.outputs}
        same_weights = {t.name for t in graph.initializer if self._has_weight(part, t)}
        same_nodes = self._same_nodes(graph, meet | same_weights)
        shared = meet | same_weights | same_nodes
        if (_names(graph) - shared) & (self._values | self._entries.keys() | self._weights.keys()):
            _rename(graph, lambda name: name if not name or name in shared else f"{part.name}/{name}")
        self._take_functions(part.model)
        self._take(part, graph, same_weights, same_nodes)

    def model(self, inputs: Sequence[str], outputs: Sequence[str]) -> ModelProto:
        """Returns the whole.

        Args:
            inputs: its inputs in the order they shall have; those that it has beside them come behind.
            outputs: its outputs in order.
        """
        model, graph = self._model, self._model.graph
        made = {name for node in graph.node for name in node.output}
        held = self._weights.keys()
        open_inputs = [entry for entry in graph.input if entry.name not in made]
        order = {name: number for number, name in enumerate(inputs)}
        open_inputs.sort(key=lambda entry: (entry.name in held, order.get(entry.name, len(order))))
        replace_all(graph.input, open_inputs)
        replace_all(graph.output, [self._entries[name] for name in outputs])
        ends = {*outputs, *(entry.name for entry in open_inputs)}
        inner = [entry for name, entry in self._entries.items() if name not in ends and name not in held]
        graph.value_info.extend(inner)
        return model

    def _has_weight(self, part: Part, tensor: TensorProto) -> bool:
        """Whether an earlier part holds the same weight under the same name."""
        if tensor.name not in self._weights:
            return False
        other, known = self._weights[tensor.name]
        if known.data_type != tensor.data_type or list(known.dims) != list(tensor.dims):
            return False
        return _content(known, other.file) == _content(tensor, part.file)

    def _same_nodes(self, graph: GraphProto, shared: set[str]) -> set[str]:
        """Returns what nodes make that an earlier part holds too: they read the same, and a copy gives the same again."""
        found: set[str] = set()
        for node in graph.node:
            known = bool(node.output) and self._texts.get(node.output[0]) == _text(node)
            if known and is_pure(node) and all(name in shared | found for name in node.input if name):
                found |= set(node.output) - {""}
        return found

    def _take(self, part: Part, graph: GraphProto, same_weights: set[str], same_nodes: set[str]) -> None:
        whole = self._model.graph
        known = {entry.name for entry in whole.input}
        whole.input.extend(entry for entry in graph.input if entry.name not in known)
        for node in graph.node:
            if node.output and node.output[0] in same_nodes:
                continue
            if node.name in self._nodes:
                node.name = f"{part.name}/{node.name}"
            self._nodes.add(node.name)
            whole.node.append(node)
            if node.output:
                self._texts[node.output[0]] = _text(node)
        new = [tensor for tensor in graph.initializer if tensor.name not in same_weights]
        whole.initializer.extend(new)
        self._weights |= {tensor.name: (part, tensor) for tensor in new}
        sparse = {tensor.values.name for tensor in whole.sparse_initializer}
        whole.sparse_initializer.extend(t for t in graph.sparse_initializer if t.values.name not in sparse)
        annotated = {annotation.tensor_name for annotation in whole.quantization_annotation}
        whole.quantization_annotation.extend(
            annotation for annotation in graph.quantization_annotation if annotation.tensor_name not in annotated
        )
        for entry in (*graph.input, *graph.output, *graph.value_info):
            self._entries.setdefault(entry.name, entry)
        self._values |= _names(graph)

    def _take_functions(self, model: ModelProto) -> None:
        known = {_key(function) for function in self._model.functions}
        self._model.functions.extend(function for function in model.functions if _key(function) not in known)


def _head(whole: ModelProto, part: ModelProto) -> None:
    """Takes over versions, the producer and metadata; what several parts say differently is as the first says it."""
    if not whole.ir_version:
        for field in HEADER:
            if part.HasField(field):
                setattr(whole, field, getattr(part, field))
        whole.graph.name = part.graph.name
    elif (whole.ir_version < FREE_WEIGHTS_IR) != (part.ir_version < FREE_WEIGHTS_IR):
        free_weights(whole)
        free_weights(part)
    whole.ir_version = max(whole.ir_version, part.ir_version)
    whole.opset_import.extend(part.opset_import)
    unite_imports(whole)
    keys = {entry.key for entry in whole.metadata_props}
    whole.metadata_props.extend(entry for entry in part.metadata_props if entry.key not in keys)


def _names(graph: GraphProto) -> set[str]:
    """Returns every name of a value in a graph and the graphs inside it."""
    found = {entry.name for entry in graph.input} | {tensor.name for tensor in graph.initializer}
    found |= {tensor.values.name for tensor in graph.sparse_initializer}
    for node in graph.node:
        found |= set(node.output)
        for inner in graphs_inside(node):
            found |= _names(inner)
    return found - {""}


def _rename(graph: GraphProto, change: Callable[[str], str]) -> None:
    """Renames every value of a graph and of the graphs inside it; one rule for all names mixes none up."""
    for node in graph.node:
        node.input[:] = map(change, node.input)
        node.output[:] = map(change, node.output)
        for inner in graphs_inside(node):
            _rename(inner, change)
    for entry in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        entry.name = change(entry.name)
    for sparse in graph.sparse_initializer:
        sparse.values.name = change(sparse.values.name)
    for annotation in graph.quantization_annotation:
        annotation.tensor_name = change(annotation.tensor_name)
        for named in annotation.quant_parameter_tensor_names:
            named.value = change(named.value)


def _content(tensor: TensorProto, file: Path) -> bytes:
    """Returns a digest of a tensor's values, external ones read in pieces."""
    if tensor.data_type == tensor.STRING:
        return b"\0".join(tensor.string_data)
    digest = hashlib.sha256()
    for piece in raw_pieces(tensor, file):
        digest.update(piece)
    return digest.digest()


def _text(node: NodeProto) -> bytes:
    return bytes(node.SerializeToString(deterministic=True))


def _seen_from_root(model: ModelProto, folder: PurePosixPath) -> None:
    for tensor in tensors(model):
        if is_external(tensor):
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = (folder / entry.value).as_posix()
