"""Comparing two models: their structure, their weights, what they compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.digest import Json, JsonObject
from olivelike.engine.difference.feeding import Asked
from olivelike.engine.difference.structure import (
    Change,
    Nodes,
    header_changes,
    node_changes,
    signature_changes,
)
from olivelike.engine.difference.values import Values, compared_values
from olivelike.engine.difference.weights import WeightChanges, weight_changes
from olivelike.engine.libraries import beside
from olivelike.engine.located import located
from olivelike.onnxfile.external import external_names, locate
from olivelike.onnxfile.read import read_structure

if TYPE_CHECKING:
    from onnx import ModelProto

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two models: as the user wrote it, its own file, and what all its files take together."""

    path: Path
    file: Path
    bytes: int

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {"path": str(self.path), "file": str(self.file), "bytes": self.bytes}


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two models.

    Attributes:
        first: the model that the other is compared with.
        second: the other.
        header: versions, producer, metadata.
        signature: inputs and outputs.
        nodes: by type and by name.
        weights: by name, and by what they hold.
        values: what both compute; empty with a reason where they were not run.
    """

    first: Side
    second: Side
    header: tuple[Change, ...]
    signature: tuple[Change, ...]
    nodes: Nodes
    weights: WeightChanges
    values: Values

    @property
    def same_structure(self) -> bool:
        """Whether nothing differs but perhaps what the models say of themselves and how they are stored."""
        return not (self.signature or self.nodes.differ or self.weights.differ)

    def to_json(self) -> JsonObject:
        """Returns the answer document of `olivelike diff`."""
        header: list[Json] = [change.to_json() for change in self.header]
        return {
            "format": FORMAT,
            "a": self.first.to_json(),
            "b": self.second.to_json(),
            "same_structure": self.same_structure,
            "header": header,
            "signature": [change.to_json() for change in self.signature],
            "nodes": self.nodes.to_json(),
            "weights": self.weights.to_json(),
            "values": self.values.to_json(),
        }


def diff(
    first: Path,
    second: Path,
    asked: Asked,
    *,
    run: bool = True,
    layers: bool = True,
    libraries: Sequence[str] = (),
) -> Difference:
    """Compares two models.

    Args:
        first: a model file, or a folder with one.
        second: the model that is held against it.
        asked: what to feed both.
        run: whether to run them; without, only structure and weights are compared.
        layers: whether to compare inner values too.
        libraries: of custom operators that either model needs: files, or `onnxruntime-extensions`.

    Raises:
        InputError: OL115, OL201 or OL202, there is no ONNX model; OL203, external data cannot be read; OL205 to OL208, data.
    """
    operators = beside(libraries)
    ours, theirs = located(first), located(second)
    models = read_structure(ours.model), read_structure(theirs.model)
    found = Difference(
        _side(first, ours.model, models[0]),
        _side(second, theirs.model, models[1]),
        header_changes(*models),
        signature_changes(*models),
        node_changes(*models),
        weight_changes(models[0], ours.model, models[1], theirs.model),
        Values(reason="the models were not run"),
    )
    del models
    if not run:
        return found
    return replace(found, values=compared_values(ours, theirs, asked, layers=layers, beside=operators))


def _side(path: Path, file: Path, model: ModelProto) -> Side:
    files = [file, *(locate(name, file) for name in external_names(model, file))]
    return Side(path, file, sum(each.stat().st_size for each in files))
