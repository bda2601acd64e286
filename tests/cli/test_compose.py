"""A folder of parts on the command line and in a workflow: `compose` makes one model of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest

import olivelike
from olivelike.digest import Json
from olivelike.onnxfile.read import read_structure, signature
from olivelike.testing import models
from olivelike.testing.building import float_value, model_of, node_of
from tests.cli.conftest import Command


def with_two_outputs() -> onnx.ModelProto:
    """Twelve layers whose seventh value is an output, the second one, beside the last."""
    nodes = [node_of("Relu", [f"v{n}"], [f"v{n + 1}"]) for n in range(12)]
    return model_of(nodes, [float_value("v0", 2)], [float_value("v12", 2), float_value("v7", 2)], [])


@pytest.mark.parametrize("parts", [2, 12])
def test_what_split_wrote_is_joined_with_its_outputs_in_order(command: Command, tmp_path: Path, parts: int) -> None:
    models.save(with_two_outputs(), tmp_path)
    assert command("apply", "split", "model.onnx", "-o", "parts", f"parts={parts}").code == 0
    ended = command("apply", "compose", "parts", "-o", "whole.onnx")
    assert ended.code == 0, ended.err
    assert [value.name for value in signature(tmp_path / "whole.onnx").outputs] == ["v12", "v7"]
    assert list(read_structure(tmp_path / "whole.onnx").graph.node) == list(with_two_outputs().graph.node)


def test_parts_without_a_manifest_are_put_in_order_by_their_names(command: Command, tmp_path: Path) -> None:
    models.save(with_two_outputs(), tmp_path)
    assert command("apply", "split", "model.onnx", "-o", "parts", "parts=3").code == 0
    (tmp_path / "loose").mkdir()
    for part, name in enumerate("cab"):
        shutil.copyfile(tmp_path / "parts" / f"part{part}.onnx", tmp_path / "loose" / f"{name}.onnx")
    assert command("apply", "compose", "loose", "-o", "whole.onnx", 'outputs=["v7", "v12"]').code == 0
    assert [value.name for value in signature(tmp_path / "whole.onnx").outputs] == ["v7", "v12"]


def test_a_workflow_begins_with_parts(command: Command, tmp_path: Path) -> None:
    models.save(models.mlp(), tmp_path)
    assert command("apply", "split", "model.onnx", "-o", "parts").code == 0
    job: dict[str, Json] = {
        "model": {"path": str(tmp_path / "parts")},
        "passes": [{"compose": {}}, {"simplify": {}}],
        "metrics": {"size": {"type": "size"}},
        "output": {"path": str(tmp_path / "out")},
        "run": {"cache": str(tmp_path / "cache"), "executor": "inline"},
    }
    assert olivelike.run(job).status == "built"
    assert signature(tmp_path / "out" / "model.onnx") == signature(tmp_path / "model.onnx")


def test_a_folder_that_is_no_model_in_parts_is_refused(command: Command, tmp_path: Path) -> None:
    for name in "ab":
        models.save(models.mlp(), tmp_path / "parts" / name)
        shutil.move(tmp_path / "parts" / name / "model.onnx", tmp_path / "parts" / f"{name}.onnx")
    ended = command("apply", "compose", "parts", "-o", "whole.onnx")
    assert (ended.code, "both a.onnx and b.onnx give 'logits'" in ended.err) == (2, True), ended.err
    assert "holds 2 ONNX models" in command("apply", "strip", "parts", "-o", "other.onnx").err


def test_parts_in_a_circle_are_refused(command: Command, tmp_path: Path) -> None:
    for name, takes, gives in (("a", "x", "y"), ("b", "y", "x")):
        model = model_of([node_of("Relu", [takes], [gives])], [float_value(takes, 2)], [float_value(gives, 2)], [])
        models.save(model, tmp_path / name)
        (tmp_path / "parts").mkdir(exist_ok=True)
        shutil.copyfile(tmp_path / name / "model.onnx", tmp_path / "parts" / f"{name}.onnx")
    ended = command("apply", "compose", "parts", "-o", "whole.onnx")
    assert (ended.code, "OL301 compose: a reads 'x', which the later part b makes" in ended.err) == (5, True), ended.err
