"""Models in parts: what a folder must hold to be one."""

from __future__ import annotations

from pathlib import Path

import pytest

from olivelike.contracts.artifact import PARTS_KIND, Manifest
from olivelike.contracts.ports import Fetched
from olivelike.errors import InputError
from olivelike.onnxfile.write import write_model
from olivelike.sources.parts import parts_at
from olivelike.testing.building import float_value, model_of, node_of


def relu(folder: Path, name: str, takes: str, gives: str) -> None:
    """Writes a part of one node."""
    model = model_of([node_of("Relu", [takes], [gives])], [float_value(takes, 2)], [float_value(gives, 2)], [])
    folder.mkdir(exist_ok=True)
    write_model(model, folder, name)


def fetched(folder: Path) -> Fetched:
    return parts_at(folder, {"path": "parts"})


def refused(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        parts_at(folder, {})
    return str(caught.value)


def test_files_that_meet_by_name_are_parts_whatever_they_are_called(tmp_path: Path) -> None:
    relu(tmp_path, "b.onnx", "x", "h")
    relu(tmp_path, "a.onnx", "h", "y")
    (tmp_path / "deeper").mkdir()
    relu(tmp_path / "deeper", "c.onnx", "p", "q")
    found = fetched(tmp_path)
    assert (found.kind, found.parts) == (PARTS_KIND, {"a": "a.onnx", "b": "b.onnx"})
    assert set(found.files) == {"a.onnx", "b.onnx"}
    assert found.notes == {}


def test_a_manifest_says_which_files_are_parts_and_brings_its_notes(tmp_path: Path) -> None:
    relu(tmp_path, "b.onnx", "x", "h")
    relu(tmp_path, "a.onnx", "h", "y")
    relu(tmp_path, "other.onnx", "p", "y")
    Manifest(PARTS_KIND, {"first": "b.onnx", "second": "a.onnx"}, notes={"split": {"outputs": ["y"]}}).write(tmp_path)
    found = fetched(tmp_path)
    assert found.parts == {"first": "b.onnx", "second": "a.onnx"}
    assert found.notes == {"split": {"outputs": ["y"]}}
    (tmp_path / "a.onnx").unlink()
    assert "lists parts that are not there: a.onnx" in refused(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        '{"parts": {}}',
        '{"kind": "onnx-parts", "parts": {"a": "../a.onnx"}}',
        '{"kind": "onnx-parts"}',
        '{"kind": "onnx-parts", "parts": {"a": "a"}, "companions": [5]}',
        '{"kind": "onnx-parts", "parts": {"a": "a"}, "notes": 5}',
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "artifact.json").write_text(text)
    assert refused(tmp_path).startswith("OL201")


def test_a_folder_that_may_mean_several_things_is_refused_with_the_files(tmp_path: Path) -> None:
    assert "holds no .onnx files" in refused(tmp_path)
    relu(tmp_path, "a.onnx", "x", "h")
    assert "holds a.onnx alone: there is nothing to join" in refused(tmp_path)
    relu(tmp_path, "b.onnx", "p", "q")
    assert "nothing goes between a.onnx and the others" in refused(tmp_path)
    relu(tmp_path, "b.onnx", "h", "y")
    relu(tmp_path, "c.onnx", "x", "y")
    assert "both b.onnx and c.onnx give 'y'" in refused(tmp_path)


def test_a_part_that_is_no_model_is_refused(tmp_path: Path) -> None:
    relu(tmp_path, "a.onnx", "x", "h")
    (tmp_path / "b.onnx").write_text("no model")
    assert refused(tmp_path).startswith("OL202")


def test_companions_are_only_what_may_belong_to_a_model_and_lies_in_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    relu(folder, "a.onnx", "x", "h")
    relu(folder, "b.onnx", "h", "y")
    (tmp_path / "secret").write_text("of the user")
    (folder / "tokenizer.json").symlink_to(tmp_path / "secret")
    (folder / ".env").write_text("of the user, too")
    (folder / "config.json").write_text("{}")
    names = ("tokenizer.json", ".env", "config.json")
    notes = {"renamed_inputs": {"x": "first"}, "split": {"outputs": ["y"]}}
    Manifest(PARTS_KIND, {"a": "./a.onnx", "b": "b.onnx"}, companions=names, notes=notes).write(folder)
    found = fetched(folder)
    assert found.companions == ("config.json",)
    assert set(found.files) == {"a.onnx", "b.onnx", "config.json"}
    assert found.parts["a"] == "a.onnx"
    assert found.notes == {"split": {"outputs": ["y"]}}


def test_a_part_that_is_a_link_to_elsewhere_is_not_there(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    relu(folder, "a.onnx", "x", "h")
    relu(tmp_path, "b.onnx", "h", "y")
    (folder / "b.onnx").symlink_to(tmp_path / "b.onnx")
    Manifest(PARTS_KIND, {"a": "a.onnx", "b": "b.onnx"}).write(folder)
    assert "lists parts that are not there: b.onnx" in refused(folder)


def test_files_of_one_name_are_refused(tmp_path: Path) -> None:
    relu(tmp_path, "a.onnx", "x", "h")
    relu(tmp_path, "a.ONNX", "h", "y")
    assert "holds files of one name: a.ONNX, a.onnx" in refused(tmp_path)
