"""Apply steps of `surgery` to a model, and say what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray

from olivelike.contracts.artifact import Artifact
from olivelike.digest import Json
from olivelike.onnxfile.check import validate_graph
from olivelike.onnxfile.read import read_structure
from olivelike.onnxfile.walk import graphs
from olivelike.testing import models
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike_passes.surgery.surgery import Surgery
from tests.passes.running import applied

if TYPE_CHECKING:
    from onnx import ModelProto

MICROSOFT = "com.microsoft"
Arrays = Mapping[str, NDArray[np.generic]]


def operated(model: ModelProto, folder: Path, *steps: Json) -> Artifact:
    """Returns what the steps make of a model, of which a copy is taken."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return applied(Surgery, copy, folder, steps=list(steps))


def listed(result: Artifact) -> list[str]:
    """Returns the types of the main graph's nodes in their order."""
    return [node.op_type for node in read_structure(result.model).graph.node]


def weights(result: Artifact) -> set[str]:
    """Returns the names of all initializers."""
    return {tensor.name for graph in graphs(read_structure(result.model)) for tensor in graph.initializer}


def outputs(model: ModelProto, folder: Path, feeds: Arrays | None = None) -> Arrays:
    """Returns what a model built in code gives."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    path = models.save(copy, folder / "before")
    return run_model(path, feeds_for(path) if feeds is None else feeds)


def assert_equal_outputs(
    model: ModelProto, result: Artifact, folder: Path, feeds: Arrays | None = None, rtol: float = 1e-5
) -> None:
    """Checks that a result is valid and gives what the model gave, to rounding in float32 unless told otherwise."""
    validate_graph(result.model)
    expected = outputs(model, folder, feeds)
    got = run_model(result.model, feeds_for(result.model) if feeds is None else feeds)
    assert list(got) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(got[name], values, rtol=rtol, atol=rtol)


def changed(result: Artifact) -> list[tuple[str, int]]:
    """Returns what the notes say: each step and in how many places it changed something."""
    notes = result.manifest.notes["surgery"]
    assert isinstance(notes, Mapping)
    steps = notes["steps"]
    assert isinstance(steps, list)
    return [(str(step["step"]), int(str(step["changed"]))) for step in steps if isinstance(step, Mapping)]


def microsoft(model: ModelProto) -> ModelProto:
    """Returns the model with the runtime's own operators imported."""
    model.opset_import.add(domain=MICROSOFT, version=1)
    return model
