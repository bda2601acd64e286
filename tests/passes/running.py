"""Run a pass on a model built in code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.passes import AnyPass
from olivelike.contracts.target import Target
from olivelike.digest import Json
from olivelike.onnxfile.walk import nodes
from olivelike.testing.models import save
from olivelike.testing.run_pass import run_pass

if TYPE_CHECKING:
    from onnx import ModelProto


def artifact(model: ModelProto, folder: Path) -> Artifact:
    """Returns a model as an artifact."""
    path = save(model, folder / "source")
    return Artifact(path.parent, Manifest("onnx", {"model": path.name}), "0" * 64)


def applied(pass_type: type[AnyPass], model: ModelProto, folder: Path, **settings: Json) -> Artifact:
    """Returns what a pass makes of a model."""
    return run_pass(pass_type, artifact(model, folder), settings, folder / "run")


def reasons(pass_type: type[AnyPass], model: ModelProto, folder: Path, **settings: Json) -> list[str]:
    """Returns why a pass refuses a model."""
    config = pass_type.config.model_validate(settings)
    return list(pass_type().refuses(artifact(model, folder), config, Target()))


def kinds(model: ModelProto) -> Mapping[str, int]:
    """Returns how many nodes of each operator type a model has."""
    found = [node.op_type for node in nodes(model)]
    return {kind: found.count(kind) for kind in found}
