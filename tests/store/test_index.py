"""The index: what is recorded comes back as it was, or not at all."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from olivelike.digest import Json
from olivelike.errors import StoreError
from olivelike.store.index import DATABASE, Index
from olivelike.store.port import Absent

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
JSON: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    index = Index(tmp_path / "index")
    yield index
    index.close()


def database(index_folder: Path) -> Path:
    """Returns the newest generation's database."""
    return max(index_folder.rglob(DATABASE))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=TEXTS, value=st.dictionaries(TEXTS, JSON, max_size=4))
def test_any_json_comes_back_as_it_was(index: Index, key: str, value: dict[str, Json]) -> None:
    index.record(key, value)
    assert index.lookup(key) == value
    assert key in index.keys("")


def test_values_that_are_no_json_are_refused(index: Index) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        index.record("measure/a", {"value": float("nan")})


def test_nothing_is_ever_evicted(index: Index) -> None:
    long = "x" * 100_000
    for number in range(40):
        index.record(f"step/{number:02d}", {"text": long})
    assert [value["text"] == long for _, value in index.records("step/")] == [True] * 40


def test_records_of_several_threads_all_arrive(index: Index) -> None:
    def work(number: int) -> None:
        for step in range(20):
            index.record(f"step/{number}-{step}", {"n": number})
        index.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(index.keys("step/")) == 80


def garbage(file: Path) -> None:
    file.write_bytes(os.urandom(20_000))


def half(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def deleted(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("damage", [garbage, half, emptied, deleted])
def test_damaged_database_loses_cached_work_and_nothing_else(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    index = Index(tmp_path / "index")
    for number in range(50):
        index.record(f"step/{number:02d}", {"output": "x" * 500})
    index.close()
    damage(database(tmp_path / "index"))
    with caplog.at_level(logging.WARNING):
        assert index.lookup("step/25") in (Absent(), {"output": "x" * 500})
        index.record("step/new", {"output": "y"})
    assert index.lookup("step/new") == {"output": "y"}
    index.close()
    if damage in (garbage, half):
        assert "cannot be read and was left aside" in caplog.text
        assert len(index.superseded) == 1


def test_database_damaged_while_it_is_open_is_replaced(index: Index, tmp_path: Path) -> None:
    other = Index(tmp_path / "index")
    for number in range(200):
        index.record(f"step/{number:03d}", {"output": "x" * 500})
    other.record("step/other", {})
    for file in (tmp_path / "index" / "0001").glob(f"{DATABASE}*"):
        if not file.name.endswith("-shm"):
            with file.open("r+b") as opened:
                opened.write(os.urandom(file.stat().st_size))
    for each in (index, other):
        each.record("step/new", {"output": "y"})
        assert each.lookup("step/new") == {"output": "y"}
        assert each.lookup("step/000") in (Absent(), {"output": "x" * 500})
    other.close()


def test_flipped_bit_in_a_row_makes_it_absent_never_wrong(index: Index, tmp_path: Path) -> None:
    index.record("measure/a", {"value": 1234.5})
    index.close()
    file = database(tmp_path / "index")
    data = file.read_bytes()
    assert b"1234.5" in data
    file.write_bytes(data.replace(b"1234.5", b"1234.4"))
    assert index.lookup("measure/a") == Absent()


def test_row_under_another_key_is_absent(index: Index, tmp_path: Path) -> None:
    index.record("measure/a", {"value": 1})
    index.close()
    file = database(tmp_path / "index")
    file.write_bytes(file.read_bytes().replace(b"measure/a", b"measure/b"))
    assert index.lookup("measure/b") == Absent()


def test_index_that_cannot_be_reached_says_so(tmp_path: Path) -> None:
    (tmp_path / "index" / "0001" / DATABASE).mkdir(parents=True)
    with pytest.raises(StoreError, match="OL401"):
        Index(tmp_path / "index").lookup("step/a")


def test_path_that_diskcache_would_expand_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLIVELIKE_TEST", "elsewhere")
    with pytest.raises(StoreError, match="holds the name of a variable"):
        Index(tmp_path / "$OLIVELIKE_TEST").lookup("step/a")
