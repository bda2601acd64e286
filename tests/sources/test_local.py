"""The model source `path`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from olivelike.contracts.ports import Fetched
from olivelike.digest import Json
from olivelike.sources.local import Local
from olivelike.testing.models import mlp, save, save_external
from olivelike.testing.source_contract import SourceContract
from tests.sources.refusals import refusal
from tests.sources.tiny_safetensors import write_safetensors


class TestLocal(SourceContract):
    def source(self) -> Local:
        return Local()

    def example(self, folder: Path) -> Json:
        save(mlp(), folder / "models")
        return "models"


def fetch(value: Json, folder: Path, file: str = "", revision: str = "") -> Fetched:
    return Local().fetch(value, file=file, revision=revision, folder=folder, offline=True)


def hf_folder(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "pytorch_model.bin").write_bytes(b"\x80")
    write_safetensors(folder / "model.safetensors")
    return folder


def test_a_file_brings_its_external_data_and_nothing_else(tmp_path: Path) -> None:
    model = save_external(mlp(), tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    fetched = fetch(model.name, tmp_path)
    assert fetched.kind == "onnx"
    assert fetched.parts == {"model": model.name}
    assert set(fetched.files) == {path.name for path in tmp_path.iterdir()} - {"tokenizer.json"}
    assert len(fetched.files) > 1


def test_a_path_is_absolute_or_starts_at_the_workflows_folder(tmp_path: Path) -> None:
    model = save(mlp(), tmp_path / "models")
    assert fetch(f"models/{model.name}", tmp_path).files == {model.name: model}
    assert fetch(str(model), tmp_path / "elsewhere").files == {model.name: model}


def test_a_folder_brings_the_companions(tmp_path: Path) -> None:
    model = save(mlp(), tmp_path / "clip" / "onnx")
    (tmp_path / "clip" / "tokenizer.json").write_text("{}")
    (tmp_path / "clip" / ".git").mkdir()
    save(mlp(), tmp_path / "clip" / ".git")
    fetched = fetch("clip", tmp_path)
    assert fetched.parts == {"model": f"onnx/{model.name}"}
    assert fetched.companions == ("tokenizer.json",)
    assert sorted(fetched.files) == [f"onnx/{model.name}", "tokenizer.json"]


def test_a_transformers_folder_is_taken_without_its_pickles(tmp_path: Path) -> None:
    hf_folder(tmp_path / "bert")
    fetched = fetch("bert", tmp_path)
    assert (fetched.kind, fetched.parts) == ("hf", {"model": "config.json"})
    assert sorted(fetched.files) == ["config.json", "model.safetensors", "tokenizer.json"]


def test_the_lock_holds_the_path_as_written(tmp_path: Path) -> None:
    save(mlp(), tmp_path / "models")
    assert fetch("models", tmp_path).revision == {"path": "models"}


def test_a_missing_file_gets_the_near_miss(tmp_path: Path) -> None:
    save(mlp(), tmp_path).rename(tmp_path / "fashion.onnx")
    problem = refusal(lambda: fetch("fashoin.onnx", tmp_path))
    assert problem.code == "OL201"
    assert problem.hint == "did you mean fashion.onnx?"


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", b"\x08\x08\x12"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    assert refusal(lambda: fetch("model.onnx", tmp_path)).code == "OL202"


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    model = save(mlp(), tmp_path)
    model.write_bytes(model.read_bytes()[:-100])
    assert refusal(lambda: fetch(model.name, tmp_path)).code == "OL202"


def test_missing_and_truncated_external_data_are_refused(tmp_path: Path) -> None:
    model = save_external(mlp(), tmp_path)
    (data,) = (path for path in tmp_path.iterdir() if path != model)
    data.write_bytes(data.read_bytes()[:-1])
    assert refusal(lambda: fetch(model.name, tmp_path)).code == "OL203"
    data.unlink()
    assert refusal(lambda: fetch(model.name, tmp_path)).code == "OL203"


@pytest.mark.parametrize("name", ["model.pt", "model.bin", "model.safetensors"])
def test_pickles_and_bare_weights_are_refused_unopened(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04")
    assert refusal(lambda: fetch(name, tmp_path)).code == "OL202"


def test_truncated_safetensors_are_refused(tmp_path: Path) -> None:
    weights = hf_folder(tmp_path / "bert") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    problem = refusal(lambda: fetch("bert", tmp_path))
    assert problem.code == "OL202"
    assert "truncated" in problem.claim


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = hf_folder(tmp_path / "bert")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    problem = refusal(lambda: fetch("bert", tmp_path))
    assert "model-00002-of-00002.safetensors" in problem.claim


def test_a_git_lfs_pointer_is_called_by_its_name(tmp_path: Path) -> None:
    weights = hf_folder(tmp_path / "bert") / "model.safetensors"
    weights.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n")
    problem = refusal(lambda: fetch("bert", tmp_path))
    assert "Git LFS pointer" in problem.claim
    assert "git lfs pull" in problem.hint


def test_a_file_beside_a_path_to_a_file_is_refused(tmp_path: Path) -> None:
    model = save(mlp(), tmp_path)
    assert refusal(lambda: fetch(model.name, tmp_path, file="model.onnx")).code == "OL201"


def test_a_revision_of_a_path_is_refused(tmp_path: Path) -> None:
    save(mlp(), tmp_path / "models")
    assert refusal(lambda: fetch("models", tmp_path, revision="v1")).code == "OL112"


def test_an_empty_folder_holds_no_model(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    assert refusal(lambda: fetch("models", tmp_path)).code == "OL201"


def snapshot(cache: Path, model: Path) -> Path:
    folder, blobs = cache / "snapshots" / ("a" * 40), cache / "blobs"
    folder.mkdir(parents=True)
    blobs.mkdir()
    for number, file in enumerate(sorted(model.parent.iterdir())):
        shutil.copy(file, blobs / str(number))
        try:
            (folder / file.name).symlink_to(Path("..") / ".." / "blobs" / str(number))
        except OSError:
            pytest.skip("needs a file system with symbolic links")
    return folder


def test_a_snapshot_of_the_hubs_cache_is_followed_through_its_links(tmp_path: Path) -> None:
    model = save_external(mlp(), tmp_path / "model")
    folder = snapshot(tmp_path / "cache", model)
    assert set(fetch(str(folder), tmp_path).files) == {path.name for path in model.parent.iterdir()}


def test_a_snapshot_whose_external_data_are_truncated_is_refused(tmp_path: Path) -> None:
    folder = snapshot(tmp_path / "cache", save_external(mlp(), tmp_path / "model"))
    (data,) = (path for path in folder.iterdir() if path.suffix != ".onnx")
    data.write_bytes(data.read_bytes()[:-1])
    assert refusal(lambda: fetch(str(folder), tmp_path)).code == "OL203"


def test_a_link_out_of_the_hubs_cache_is_refused(tmp_path: Path) -> None:
    model = save_external(mlp(), tmp_path / "model")
    folder = snapshot(tmp_path / "cache", model)
    (data,) = (path for path in folder.iterdir() if path.suffix != ".onnx")
    data.unlink()
    data.symlink_to(tmp_path / "model" / data.name)
    problem = refusal(lambda: fetch(str(folder), tmp_path))
    assert problem.code == "OL203"
    assert "outside the cache" in problem.claim
