"""What differs in the weights of two models: names, types, shapes and bytes. One piece of one weight is in memory at a time."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.digest import JsonObject
from olivelike.onnxfile.external import extent_of, is_external, locate
from olivelike.onnxfile.read import element_type
from olivelike.onnxfile.sizes import byte_count
from olivelike.onnxfile.tensors import raw_pieces
from olivelike.onnxfile.walk import graphs

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight as it is told: element type, shape, bytes."""

    dtype: str
    shape: tuple[int, ...]
    bytes: int

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {"dtype": self.dtype, "shape": list(self.shape), "bytes": self.bytes}


@dataclass(frozen=True, slots=True)
class ChangedWeight:
    """A weight that both models have and that differs: in `type`, `shape` or `values`."""

    name: str
    what: str
    first: Weight
    second: Weight

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {"name": self.name, "what": self.what, "a": self.first.to_json(), "b": self.second.to_json()}


@dataclass(frozen=True, slots=True)
class WeightChanges:
    """What differs in the weights.

    Attributes:
        removed: weights of the first model that the second has not.
        added: weights of the second model that the first has not.
        renamed: weights of the same type, shape and bytes under another name, the first model's name first.
        changed: weights of one name that differ.
        same: how many are the same in both.
        first_bytes: what all weights of the first model take.
        second_bytes: what those of the second take.
    """

    removed: Mapping[str, Weight]
    added: Mapping[str, Weight]
    renamed: Mapping[str, str]
    changed: tuple[ChangedWeight, ...]
    same: int
    first_bytes: int
    second_bytes: int

    @property
    def differ(self) -> bool:
        """Whether anything differs."""
        return bool(self.removed or self.added or self.renamed or self.changed)

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {
            "a_bytes": self.first_bytes,
            "b_bytes": self.second_bytes,
            "removed": {name: weight.to_json() for name, weight in self.removed.items()},
            "added": {name: weight.to_json() for name, weight in self.added.items()},
            "renamed": dict(self.renamed),
            "changed": [each.to_json() for each in self.changed],
            "same": self.same,
        }


@dataclass(frozen=True, slots=True)
class Held:
    """A tensor and the file of the model that it belongs to."""

    tensor: TensorProto
    path: Path

    @property
    def weight(self) -> Weight:
        """How it is told."""
        return Weight(element_type(self.tensor.data_type), tuple(self.tensor.dims), byte_count(self.tensor))

    def digest(self) -> str:
        """Returns the sha256 of its values."""
        state = hashlib.sha256()
        if self.tensor.data_type == self.tensor.STRING:
            for text in self.tensor.string_data:
                state.update(len(text).to_bytes(8, "little") + text)
        else:
            for piece in raw_pieces(self.tensor, self.path):
                state.update(piece)
        return state.hexdigest()

    def is_at_the_place_of(self, other: Held) -> bool:
        """Whether two tensors are the same bytes of the same file, which need not be read."""
        if not (is_external(self.tensor) and is_external(other.tensor)):
            return False
        ours, theirs = extent_of(self.tensor, self.path), extent_of(other.tensor, other.path)
        files = locate(ours.location, self.path), locate(theirs.location, other.path)
        return (ours.offset, ours.length) == (theirs.offset, theirs.length) and files[0].samefile(files[1])


def weight_changes(first: ModelProto, first_path: Path, second: ModelProto, second_path: Path) -> WeightChanges:
    """Returns what differs in the initializers of two models; external data are streamed, each weight once.

    Raises:
        InputError: OL203, external data cannot be read.
    """
    ours, theirs = dict(_held(first, first_path)), dict(_held(second, second_path))
    removed = {name: held for name, held in ours.items() if name not in theirs}
    added = {name: held for name, held in theirs.items() if name not in ours}
    renamed = dict(_renamed(removed, added))
    changed = [
        ChangedWeight(name, what, held.weight, theirs[name].weight)
        for name, held in ours.items()
        if name in theirs and (what := _difference(held, theirs[name]))
    ]
    return WeightChanges(
        {name: held.weight for name, held in removed.items() if name not in renamed},
        {name: held.weight for name, held in added.items() if name not in renamed.values()},
        renamed,
        tuple(changed),
        len(ours) - len(removed) - len(changed),
        sum(byte_count(held.tensor) for held in ours.values()),
        sum(byte_count(held.tensor) for held in theirs.values()),
    )


def _held(model: ModelProto, path: Path) -> Iterator[tuple[str, Held]]:
    """Yields every initializer under a name of its own; of one in an inner graph the graph's name comes first."""
    seen: Counter[str] = Counter()
    for graph in graphs(model):
        scope = "" if graph is model.graph else f"{graph.name}/"
        for tensor in graph.initializer:
            name = scope + tensor.name
            seen[name] += 1
            yield (name if seen[name] == 1 else f"{name} ({seen[name]})"), Held(tensor, path)


def _difference(first: Held, second: Held) -> str:
    """Returns in what two weights differ, or nothing."""
    ours, theirs = first.weight, second.weight
    if ours.dtype != theirs.dtype:
        return "type"
    if ours.shape != theirs.shape:
        return "shape"
    if first.is_at_the_place_of(second) or first.digest() == second.digest():
        return ""
    return "values"


def _renamed(removed: Mapping[str, Held], added: Mapping[str, Held]) -> Iterator[tuple[str, str]]:
    """Yields pairs of names that stand for equal weights; each name once, and only weights of equal type and shape are read."""
    alike: dict[Weight, list[str]] = defaultdict(list)
    for name, held in added.items():
        alike[held.weight].append(name)
    digests: dict[str, str] = {}
    for name, held in removed.items():
        candidates = alike.get(held.weight, [])
        own = held.digest() if candidates else ""
        for other in candidates:
            if other not in digests:
                digests[other] = added[other].digest()
            if digests[other] == own:
                candidates.remove(other)
                yield name, other
                break
