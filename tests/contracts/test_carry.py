"""Tests of handing a model on."""

from __future__ import annotations

from pathlib import Path

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.carry import deliver, keep
from olivelike.onnxfile.read import read_model
from olivelike.testing import models


def with_companion(folder: Path) -> Artifact:
    path = models.save_external(models.mlp(hidden=64), folder)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer.json").chmod(0o444)
    manifest = Manifest("onnx", {"model": path.name}, ("tokenizer.json",), notes={"someone": {"said": 1}})
    return Artifact(folder, manifest, "")


def test_kept_model_is_the_same_bytes_with_its_external_data(tmp_path: Path) -> None:
    source = with_companion(tmp_path / "source")
    (tmp_path / "out").mkdir()
    manifest = keep(source, tmp_path / "out")
    assert manifest == source.manifest
    for name in ("model.onnx", "model.onnx.data", "tokenizer.json"):
        assert (tmp_path / "out" / name).read_bytes() == (source.folder / name).read_bytes()


def test_delivered_model_comes_with_companions_and_notes(tmp_path: Path) -> None:
    source = with_companion(tmp_path / "source")
    (tmp_path / "out").mkdir()
    manifest = deliver(source, tmp_path / "out", read_model(source.model))
    assert manifest.companions == ("tokenizer.json",)
    assert manifest.notes == {"someone": {"said": 1}}
    assert (tmp_path / "out" / "tokenizer.json").read_text() == "{}"
