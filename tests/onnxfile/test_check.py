"""Tests of checking models before anything is built on them, and after a pass wrote them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from olivelike.errors import InputError, OlivelikeError, StepError
from olivelike.onnxfile.check import check_model_file, validate_graph
from olivelike.testing import models


def problem(action: Callable[[], None]) -> str:
    with pytest.raises(OlivelikeError) as caught:
        action()
    return str(caught.value)


def relocated(path: Path, **entries: str) -> None:
    """Rewrites where the first tensor's external data lie."""
    model = onnx.load(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        entry.value = entries.get(entry.key, entry.value)
    path.write_bytes(model.SerializeToString())


def test_models_of_all_kinds_pass(tmp_path: Path) -> None:
    for name in ("mlp", "if_model", "string_input", "attention23", "weights_as_inputs", "repeated_opset", "half"):
        path = models.save(getattr(models, name)(), tmp_path / name)
        check_model_file(path)
        validate_graph(path)


def test_missing_file_is_ol201(tmp_path: Path) -> None:
    assert "OL201" in problem(lambda: check_model_file(tmp_path / "none.onnx"))


def test_folder_is_ol201_and_said_to_be_one(tmp_path: Path) -> None:
    assert "is a folder, not a model file" in problem(lambda: check_model_file(tmp_path))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"  <html lang=en>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "a git-lfs pointer"),
        (b"PK\x03\x04" + bytes(100), "a zip archive"),
        (b"\x1f\x8b" + bytes(100), "compressed with gzip"),
        (b"\x80\x02}q\x00.", "a Python pickle"),
        (b"GGUF" + bytes(30), "a GGUF file"),
        (b'{"a": 1}', "a JSON file"),
        (b"\x00\x00\x00\x00ORTM" + bytes(10), "ONNX Runtime's own format"),
        (b"\x20\x00\x00\x00TFL3" + bytes(10), "a TensorFlow Lite model"),
        (os.urandom(1) * 0 + b"\xff\xfe\x00something", "truncated or something else"),
        (b"\x08\x08", "truncated or something else"),  # parses, but has no graph
    ],
)
def test_what_is_no_model_is_ol202_and_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    found = problem(lambda: check_model_file(path))
    assert "OL202" in found
    assert words in found


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_model_is_ol202(tmp_path: Path, share: float) -> None:
    path = models.save(models.mlp(), tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "OL202" in problem(lambda: check_model_file(path))


def test_external_data_pass(tmp_path: Path) -> None:
    path = models.save_external(models.mlp(hidden=64), tmp_path)
    check_model_file(path)
    validate_graph(path)


def test_missing_external_data_are_ol203(tmp_path: Path) -> None:
    path = models.save_external(models.mlp(hidden=64), tmp_path)
    (tmp_path / "model.onnx.data").unlink()
    assert "OL203" in problem(lambda: check_model_file(path))


def test_truncated_external_data_are_ol203(tmp_path: Path) -> None:
    path = models.save_external(models.mlp(hidden=64), tmp_path)
    data = tmp_path / "model.onnx.data"
    data.write_bytes(data.read_bytes()[:-1])
    found = problem(lambda: check_model_file(path))
    assert "OL203" in found
    assert "ends at" in found


@pytest.mark.parametrize(
    "location",
    ["/etc/passwd", "../secret", "a/../../secret", "C:\\windows\\x", "..\\secret", "C:x", "\\\\host\\share", "", "."],
)
def test_external_data_outside_the_folder_are_ol203(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret").write_bytes(bytes(10_000))
    path = models.save_external(models.mlp(hidden=64), tmp_path / "model")
    relocated(path, location=location)
    found = problem(lambda: check_model_file(path))
    assert "OL203" in found
    assert "outside the model's folder" in found


def test_link_that_leaves_the_folder_is_ol203(tmp_path: Path) -> None:
    path = models.save_external(models.mlp(hidden=64), tmp_path / "model")
    data = path.with_name("model.onnx.data")
    data.rename(tmp_path / "elsewhere")
    try:
        data.symlink_to(tmp_path / "elsewhere")
    except OSError:
        pytest.skip("this machine makes no symbolic links")
    assert "outside the model's folder" in problem(lambda: check_model_file(path))


def test_hard_linked_external_data_are_fine(tmp_path: Path) -> None:
    # A store may hand out links; onnx's own loader and checker refuse them.
    path = models.save_external(models.mlp(hidden=64), tmp_path)
    (tmp_path / "twin").hardlink_to(tmp_path / "model.onnx.data")
    check_model_file(path)
    validate_graph(path)


@pytest.mark.parametrize("entries", [{"offset": "-4"}, {"offset": "x"}, {"length": "4"}, {"length": "99999999"}])
def test_offset_and_length_that_do_not_fit_are_ol203(tmp_path: Path, entries: dict[str, str]) -> None:
    path = models.save_external(models.mlp(hidden=64), tmp_path)
    relocated(path, **entries)
    assert "OL203" in problem(lambda: check_model_file(path))


def test_negative_dimension_is_an_input_error(tmp_path: Path) -> None:
    path = models.save_external(models.mlp(hidden=64), tmp_path)
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[0].dims[:] = [-16, -64]
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError):
        check_model_file(path)


@pytest.mark.parametrize("save", [models.save, models.save_external])
def test_invalid_graph_is_ol304(tmp_path: Path, save: Callable[[onnx.ModelProto, Path], Path]) -> None:
    model = models.mlp(hidden=64)
    model.graph.node[0].input[0] = "nobody"
    path = save(model, tmp_path)
    with pytest.raises(StepError, match=r"OL304.*nobody"):
        validate_graph(path)
