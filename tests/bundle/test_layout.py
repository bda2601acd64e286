"""A bundle takes its place as a whole, or what was there stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from olivelike.bundle.layout import is_ours, put_in_place, write_json
from olivelike.bundle.lock import LOCK_NAME
from olivelike.errors import InputError


def fill(text: str):  # type: ignore[no-untyped-def]
    def write(folder: Path) -> None:
        (folder / LOCK_NAME).write_text("{}")
        (folder / "model.onnx").write_text(text)

    return write


def test_a_bundle_replaces_an_older_one(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "out"
    put_in_place(place, fill("one"))
    put_in_place(place, fill("two"))
    assert (place / "model.onnx").read_text() == "two"
    assert [path.name for path in place.parent.iterdir()] == ["out"]


def test_a_failure_while_writing_leaves_the_older_bundle(tmp_path: Path) -> None:
    place = tmp_path / "out"
    put_in_place(place, fill("one"))

    def break_off(folder: Path) -> None:
        fill("two")(folder)
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        put_in_place(place, break_off)
    assert (place / "model.onnx").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("foreign", ["a folder with files", "a file"])
def test_what_is_not_ours_is_kept(tmp_path: Path, foreign: str) -> None:
    place = tmp_path / "out"
    if foreign == "a file":
        place.write_text("mine")
    else:
        place.mkdir()
        (place / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="OL116"):
        put_in_place(place, fill("one"))
    assert (place if place.is_file() else place / "notes.txt").read_text() == "mine"


def test_an_empty_folder_and_an_older_bundle_are_ours(tmp_path: Path) -> None:
    assert is_ours(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    assert is_ours(tmp_path / "empty")


def test_a_json_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.json"
    write_json(path, {"name": "Zürich"})
    write_json(path, {"name": "Bern"})
    assert "Bern" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["report.json"]
