"""Nothing in the index is ever unpickled, whatever was planted in its database."""

from __future__ import annotations

import os
import pickle
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from diskcache import Cache, JSONDisk

from olivelike.store.index import DATABASE, Index
from olivelike.store.port import Absent
from olivelike.store.textdisk import NotTextError, TextDisk

COLUMNS = "(key, raw, store_time, access_time, mode, filename, value)"


class Payload:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """The folder that exists once a payload has run."""
    return tmp_path / "executed"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    index = Index(tmp_path / "index")
    index.record("step/ours", {"output": "x"})
    yield index
    index.close()


def plant(
    folder: Path, *, key: object, raw: int = 1, mode: int = 1, filename: str | None = None, value: object = None
) -> None:
    """Writes a row as an attacker could who may write to the database."""
    (database,) = folder.rglob(DATABASE)
    with closing(sqlite3.connect(database)) as connection, connection:
        row = (key, raw, 0.0, 0.0, mode, filename, value)
        connection.execute(f"INSERT INTO Cache {COLUMNS} VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def test_json_disk_of_diskcache_runs_a_planted_value(tmp_path: Path, trap: Path) -> None:
    with Cache(str(tmp_path / "theirs"), disk=JSONDisk) as cache:
        key, raw = cache.disk.put("step/planted")
        plant(tmp_path / "theirs", key=key, raw=raw, mode=4, value=pickle.dumps(Payload(trap)))
        with pytest.raises(TypeError):  # what the payload returned is no compressed JSON; by then it has run
            cache.get("step/planted")
    assert trap.exists()


def test_json_disk_of_diskcache_runs_a_planted_key(tmp_path: Path, trap: Path) -> None:
    with Cache(str(tmp_path / "theirs"), disk=JSONDisk) as cache:
        plant(tmp_path / "theirs", key=pickle.dumps(Payload(trap)), raw=0, value="{}")
        with pytest.raises(TypeError):
            list(cache.iterkeys())
    assert trap.exists()


def test_planted_pickle_value_counts_as_absent_and_is_removed(index: Index, tmp_path: Path, trap: Path) -> None:
    plant(tmp_path / "index", key="step/planted", mode=4, value=pickle.dumps(Payload(trap)))
    assert index.lookup("step/planted") == Absent()
    assert index.keys("step/") == ["step/ours"]
    assert not trap.exists()


def test_planted_pickle_file_counts_as_absent(index: Index, tmp_path: Path, trap: Path) -> None:
    (tmp_path / "payload.val").write_bytes(pickle.dumps(Payload(trap)))
    plant(tmp_path / "index", key="step/planted", mode=4, filename="../../payload.val")
    assert list(index.records("step/")) == [("step/ours", {"output": "x"})]
    assert not trap.exists()


def test_planted_pickle_key_is_passed_over(index: Index, tmp_path: Path, trap: Path) -> None:
    plant(tmp_path / "index", key=pickle.dumps(Payload(trap)), raw=0, value="{}")
    plant(tmp_path / "index", key="step/ours", raw=0, value="{}")
    assert list(index.records("")) == [("step/ours", {"output": "x"})]
    assert index.lookup("step/ours") == {"output": "x"}
    assert not trap.exists()


@pytest.mark.parametrize("mode", [2, 3])
def test_planted_row_cannot_read_a_file(index: Index, tmp_path: Path, mode: int) -> None:
    (tmp_path / "secret.json").write_text("{}")
    plant(tmp_path / "index", key="step/planted", mode=mode, filename="../../secret.json")
    assert index.lookup("step/planted") == Absent()


def test_planted_file_name_cannot_delete_a_file(index: Index, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("keep me")
    plant(tmp_path / "index", key="step/planted", mode=3, filename="../../precious.txt")
    index.record("step/planted", {"output": "y"})
    assert index.lookup("step/planted") == {"output": "y"}
    plant(tmp_path / "index", key="step/again", mode=3, filename="../../precious.txt")
    index.forget("step/again")
    assert (tmp_path / "precious.txt").exists()


def test_planted_blob_is_no_text(index: Index, tmp_path: Path) -> None:
    plant(tmp_path / "index", key="step/planted", value=b"{}")
    assert index.lookup("step/planted") == Absent()


def test_planted_text_without_its_seal_counts_as_absent(index: Index, tmp_path: Path) -> None:
    plant(tmp_path / "index", key="step/planted", value='{"output": "z"}')
    assert index.lookup("step/planted") == Absent()


def test_planted_setting_makes_the_index_begin_anew(index: Index, tmp_path: Path) -> None:
    index.close()
    (database,) = (tmp_path / "index").rglob(DATABASE)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("INSERT INTO Settings VALUES ('disk__directory', '/')")
    assert index.lookup("step/ours") == Absent()


@pytest.mark.parametrize("foreign", [b"bytes", 1, 1.5, None, ("a", "tuple"), object()])
def test_only_text_goes_in(tmp_path: Path, foreign: object) -> None:
    disk = TextDisk(str(tmp_path))
    with pytest.raises(NotTextError, match="must be text"):
        disk.put(foreign)
    with pytest.raises(NotTextError, match="must be text"):
        disk.store(foreign, False)
    with pytest.raises(NotTextError, match="must be text"):
        disk.store("text", True)
