"""A model as one file: nothing that lies there is lost, and neighbours never share external data."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from olivelike.bundle.single_file import put_file, require_free
from olivelike.errors import InputError
from olivelike.onnxfile.external import external_files
from olivelike.onnxfile.read import read_model
from olivelike.testing import models


def external(folder: Path, seed: int) -> Path:
    """Writes a small model whose weights lie in `weights.bin` beside it."""
    folder.mkdir()
    model = models.mlp(hidden=16)
    model.graph.doc_string = str(seed)
    path = folder / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


def test_external_data_are_named_after_the_file_so_that_neighbours_never_collide(tmp_path: Path) -> None:
    one, two = external(tmp_path / "1", 1), external(tmp_path / "2", 2)
    place = tmp_path / "here"
    assert put_file(one, place / "a.onnx", [one], force=False) == ("a.onnx", "a.onnx.data")
    assert put_file(two, place / "b.onnx", [two], force=False) == ("b.onnx", "b.onnx.data")
    assert external_files(place / "a.onnx") == ("a.onnx.data",)
    assert read_model(place / "a.onnx") == read_model(one)
    assert sorted(path.name for path in place.iterdir()) == ["a.onnx", "a.onnx.data", "b.onnx", "b.onnx.data"]


def test_a_file_that_is_there_is_kept_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    model, file = external(tmp_path / "1", 1), tmp_path / "a.onnx"
    file.write_text("mine")
    with pytest.raises(InputError, match=r"OL116.*--force"):
        put_file(model, file, [model], force=False)
    assert file.read_text() == "mine"
    put_file(model, file, [model], force=True)
    assert read_model(file) == read_model(model)


def test_external_data_that_are_there_are_kept(tmp_path: Path) -> None:
    model = external(tmp_path / "1", 1)
    (tmp_path / "a.onnx.data").write_text("mine")
    with pytest.raises(InputError, match="OL116"):
        put_file(model, tmp_path / "a.onnx", [model], force=False)
    assert (tmp_path / "a.onnx.data").read_text() == "mine"
    assert not (tmp_path / "a.onnx").exists()


def test_the_input_is_never_replaced(tmp_path: Path) -> None:
    model = external(tmp_path / "1", 1)
    for name in ("model.onnx", "weights.bin"):
        with pytest.raises(InputError, match=r"OL116.*the input itself"):
            require_free(model.with_name(name), [model, model.with_name("weights.bin")], force=True)
