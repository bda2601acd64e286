"""A bundle takes its place as a whole, or what was there stays; what is not ours is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from olivelike.bundle import place as places
from olivelike.bundle.exchange import exchange
from olivelike.bundle.lock import LOCK_NAME
from olivelike.bundle.place import put_in_place, recover, require_ours, require_writable
from olivelike.errors import InputError
from olivelike.owner import Owner
from tests.bundle.test_lock import LOCK


def fill(text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / LOCK_NAME).write_text(json.dumps(replace(LOCK, files=("model.onnx",)).to_json()))
        (folder / "model.onnx").write_text(text)

    return write


def dead_process() -> int:
    """Returns the number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def room_of(path: Path, pid: int) -> Path:
    room = path.with_name(f".{path.name}-{Owner.current().machine[:12]}-{pid}-0123abcd")
    room.mkdir()
    return room


def test_a_bundle_replaces_an_older_one(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "out"
    put_in_place(place, fill("one"))
    put_in_place(place, fill("two"))
    assert (place / "model.onnx").read_text() == "two"
    assert [path.name for path in place.parent.iterdir()] == ["out"]


def test_a_bundle_replaces_an_older_one_where_the_system_cannot_exchange(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "exchange", lambda one, other: False)
    put_in_place(tmp_path / "out", fill("one"))
    put_in_place(tmp_path / "out", fill("two"))
    assert (tmp_path / "out" / "model.onnx").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the call is Linux's")
def test_two_folders_take_each_other_s_place(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(name)
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("the file system has no such call")
    assert [(tmp_path / name / "name").read_text() for name in ("a", "b")] == ["b", "a"]


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


def test_what_a_killed_run_moved_aside_is_brought_back_and_its_room_swept(tmp_path: Path) -> None:
    place = tmp_path / "out"
    put_in_place(place, fill("one"))
    room = room_of(place, dead_process())
    place.replace(room / "old")
    recover(place)
    assert (place / "model.onnx").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_room_of_a_living_process_or_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "out"
    mine = room_of(place, Owner.current().pid)
    theirs = tmp_path / ".out-of-office"
    theirs.mkdir()
    recover(place)
    assert mine.is_dir()
    assert theirs.is_dir()


@pytest.mark.parametrize("foreign", ["a folder with files", "a file", "a lock of another tool", "a list as a lock"])
def test_what_is_not_ours_is_kept(tmp_path: Path, foreign: str) -> None:
    place = tmp_path / "out"
    kept = {"a folder with files": "notes.txt", "a file": ""}.get(foreign, LOCK_NAME)
    if kept:
        place.mkdir()
    (place / kept).write_text("[]" if foreign == "a list as a lock" else '{"lockfileVersion": 3}')
    with pytest.raises(InputError, match="OL116"):
        put_in_place(place, fill("one"))
    assert (place / kept).read_text()[0] in "[{"


def test_a_file_that_the_user_put_into_a_bundle_is_kept_and_named(tmp_path: Path) -> None:
    place = tmp_path / "out"
    put_in_place(place, fill("one"))
    (place / "notes").mkdir()
    (place / "notes" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"OL116.*notes/mine\.txt, which olivelike did not write"):
        put_in_place(place, fill("two"))
    assert (place / "notes" / "mine.txt").read_text() == "mine"
    assert (place / "model.onnx").read_text() == "one"


def test_nothing_and_an_empty_folder_may_be_written(tmp_path: Path) -> None:
    require_ours(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    require_ours(tmp_path / "empty")


def test_a_path_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"OL116.*is a file"):
        require_writable(tmp_path / "file" / "deep" / "out")
    require_writable(tmp_path / "new" / "deep" / "out")
    assert not (tmp_path / "new").exists()
