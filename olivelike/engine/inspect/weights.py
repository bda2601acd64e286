"""A model's weights: how many, how large by type and by layer, which are shared, in which files they lie. None is read."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike.digest import JsonObject
from olivelike.errors import InputError
from olivelike.onnxfile.external import extent_of, is_external
from olivelike.onnxfile.read import element_type
from olivelike.onnxfile.sizes import byte_count
from olivelike.onnxfile.walk import graphs, nodes

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import ModelProto, NodeProto, TensorProto

SCOPES = re.compile(r"[/.]")
NUMBERED = re.compile(r"(\w*_)?\d+")
"""A part of a name that numbers a layer: `3`, `layer_3`."""
TORCH_SCOPES = "pkg.torch.onnx.name_scopes"
"""Where torch's exporter notes the modules around an operation: a list as Python writes it, each with those around it."""
SHARED_FROM = 1024
"""Bytes from which on it is worth a word that a weight is read more than once."""
PACKED = {"MatMulNBits": 1, "MatMulBnb4": 1, "MatMulFpQ4": 1}
"""Operators whose weight, at this place, holds `K` times `N` values in bytes (ONNX Runtime, ContribOperators.md)."""


@dataclass(frozen=True, slots=True)
class Share:
    """Some of the weights: of one type, or of one layer.

    Attributes:
        name: the element type, or the layer's.
        tensors: how many.
        parameters: their elements; of weights packed into bytes, what the bytes hold.
        bytes: what they take.
    """

    name: str
    tensors: int
    parameters: int
    bytes: int

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {"name": self.name, "tensors": self.tensors, "parameters": self.parameters, "bytes": self.bytes}


@dataclass(frozen=True, slots=True)
class Shared:
    """Bytes that serve more than once.

    Attributes:
        weights: the names under which the graph knows them; several where they refer to the same place in a file.
        readers: the nodes that read them, by name, or by type where they have none.
        bytes: their size.
    """

    weights: tuple[str, ...]
    readers: tuple[str, ...]
    bytes: int

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {"weights": list(self.weights), "readers": list(self.readers), "bytes": self.bytes}


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of external data: its size on disk, -1 where it is missing, and how much of it the tensors use."""

    name: str
    size: int
    used: int
    tensors: int

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        size = None if self.size < 0 else self.size
        return {"name": self.name, "bytes": size, "used": self.used, "tensors": self.tensors}


@dataclass(frozen=True, slots=True)
class Weights:
    """All weights of a model: initializers, and constants that nodes hold."""

    parameters: int
    bytes: int
    by_type: tuple[Share, ...]
    by_layer: tuple[Share, ...]
    shared: tuple[Shared, ...]
    files: tuple[DataFile, ...]

    def to_json(self) -> JsonObject:
        """Returns them as the answer holds them."""
        return {
            "parameters": self.parameters,
            "bytes": self.bytes,
            "by_type": [share.to_json() for share in self.by_type],
            "by_layer": [share.to_json() for share in self.by_layer],
            "shared": [each.to_json() for each in self.shared],
        }


def weights(model: ModelProto, path: Path) -> Weights:
    """Returns what there is to say of a model's weights.

    Args:
        model: its structure.
        path: the file that it was read from.
    """
    held = list(_held(model))
    packed = _packed(model)
    sizes = [(name, tensor, packed.get(name, math.prod(tensor.dims)), _bytes(tensor)) for name, tensor in held]
    readers = _readers(model)
    scopes = _scopes(model)
    types = ((element_type(tensor.data_type), count, size) for _, tensor, count, size in sizes)
    layers = ((layer_of(name, scopes.get(name, "")), count, size) for name, _, count, size in sizes)
    return Weights(
        sum(count for _, _, count, _ in sizes),
        sum(size for *_, size in sizes),
        _shares(types),
        _shares(layers),
        _shared(model, path, readers),
        data_files((tensor for _, tensor in held), path),
    )


def layer_of(weight: str, reader: str) -> str:
    """Returns the layer that a weight belongs to: its scope, up to the first part that numbers a layer.

    A weight whose name has no scope belongs to that of the node that reads it, or to that node.

    >>> layer_of("model.layers.3.mlp.up_proj.weight", "")
    'model.layers.3'
    >>> layer_of("onnx::MatMul_812", "/encoder/layer_3/output/dense/MatMul")
    'encoder.layer_3'
    >>> layer_of("block1.first.conv.weight", ""), layer_of("w", "Gemm_7"), layer_of("w", "")
    ('block1.first.conv', 'Gemm_7', 'w')
    """
    for name in (weight, reader):
        scope = [part for part in SCOPES.split(name) if part][:-1]
        if scope:
            ends = [place for place, part in enumerate(scope, 1) if NUMBERED.fullmatch(part)]
            return ".".join(scope[: min(ends, default=len(scope))])
    return reader or weight


def data_files(tensors: Iterable[TensorProto], path: Path) -> tuple[DataFile, ...]:
    """Returns the files of external data that tensors lie in, by name; one that leads out of the model's folder is left out."""
    used: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for tensor in tensors:
        if is_external(tensor):
            try:
                extent = extent_of(tensor, path)
            except InputError:  # said among the defects
                continue
            used[extent.location] += extent.length
            count[extent.location] += 1
    return tuple(DataFile(name, _size_of(path.parent / name), used[name], count[name]) for name in sorted(used))


def _size_of(file: Path) -> int:
    return file.stat().st_size if file.is_file() else -1


def _held(model: ModelProto) -> Iterator[tuple[str, TensorProto]]:
    """Yields every tensor that holds values, under the name by which nodes read it."""
    for graph in graphs(model):
        for tensor in graph.initializer:
            yield tensor.name, tensor
        for sparse in graph.sparse_initializer:
            yield sparse.values.name, sparse.values
            yield sparse.values.name, sparse.indices
    for node in nodes(model):
        for tensor in _of_node(node):
            yield node.output[0] if node.output else node.name, tensor


def _of_node(node: NodeProto) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        inner = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
        for sparse in (*inner, *attribute.sparse_tensors):
            yield sparse.values
            yield sparse.indices


def _packed(model: ModelProto) -> dict[str, int]:
    """Returns how many values the weights hold that are packed into bytes, by name."""
    found = {}
    for node in nodes(model):
        place = PACKED.get(node.op_type, len(node.input))
        if place < len(node.input):
            numbers = {attribute.name: attribute.i for attribute in node.attribute}
            found[node.input[place]] = numbers.get("K", 0) * numbers.get("N", 0)
    return {name: count for name, count in found.items() if count}


def _readers(model: ModelProto) -> dict[str, list[str]]:
    """Returns by name what reads a value: a node's name, or its type where it has none."""
    found: dict[str, list[str]] = defaultdict(list)
    for node in nodes(model):
        for name in dict.fromkeys(node.input):
            found[name].append(node.name or node.op_type)
    return found


def _scopes(model: ModelProto) -> dict[str, str]:
    """Returns by name the first node that reads a value, called as `layer_of` wants it."""
    found: dict[str, str] = {}
    for node in nodes(model):
        for name in node.input:
            if name not in found:
                found[name] = _scoped(node)
    return found


def _scoped(node: NodeProto) -> str:
    """Returns a node's name; of one that torch's newer exporter wrote the modules that it came from, in place of it."""
    for entry in node.metadata_props:
        if entry.key == TORCH_SCOPES:
            return ".".join(re.findall(r"'([^']*)'", entry.value)[-2:])
    return node.name or node.op_type


def _bytes(tensor: TensorProto) -> int:
    try:
        return byte_count(tensor)
    except InputError:  # said among the defects
        return 0


def _shares(parts: Iterable[tuple[str, int, int]]) -> tuple[Share, ...]:
    """Returns named parts summed up by name, the largest first."""
    sums: dict[str, list[int]] = {}
    for name, count, size in parts:
        total = sums.setdefault(name, [0, 0, 0])
        total[0] += 1
        total[1] += count
        total[2] += size
    return tuple(sorted((Share(name, *total) for name, total in sums.items()), key=lambda s: (-s.bytes, s.name)))


def _shared(model: ModelProto, path: Path, readers: Mapping[str, list[str]]) -> tuple[Shared, ...]:
    """Returns what several nodes read, or several initializers refer to, the largest first."""
    places: dict[object, list[TensorProto]] = defaultdict(list)
    for graph in graphs(model):
        for tensor in graph.initializer:
            places[_place(tensor, path)].append(tensor)
    found = []
    for tensors in places.values():
        names = tuple(dict.fromkeys(tensor.name for tensor in tensors))
        reading = tuple(reader for name in names for reader in readers.get(name, []))
        if _bytes(tensors[0]) >= SHARED_FROM and (len(names) > 1 or len(reading) > 1):
            found.append(Shared(names, reading, _bytes(tensors[0])))
    return tuple(sorted(found, key=lambda shared: (-shared.bytes, shared.weights)))


def _place(tensor: TensorProto, path: Path) -> object:
    """Returns where a tensor's bytes lie: a part of a file, or the tensor itself."""
    if is_external(tensor):
        try:
            return extent_of(tensor, path)
        except InputError:  # said among the defects
            return tensor.name
    return tensor.name
