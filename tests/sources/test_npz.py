"""The data reader `npz`."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from olivelike.digest import Json
from olivelike.sources.npz import Npz
from olivelike.testing.source_contract import ReaderContract
from tests.sources.reading import read
from tests.sources.refusals import refusal


class TestNpz(ReaderContract):
    def reader(self) -> Npz:
        return Npz()

    def example(self, folder: Path) -> dict[str, Json]:
        (folder / "data").mkdir(exist_ok=True)
        np.savez_compressed(folder / "data" / "test.npz", images=np.arange(12).reshape(3, 4), labels=np.arange(3))
        return {"npz": "data/test.npz"}


def test_arrays_are_columns_with_their_types(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=np.ones((3, 2), np.uint8), names=np.array(["a", "b", "c"]))
    columns = read(Npz(), tmp_path, {"npz": "x.npz"})
    assert {name: column.dtype.kind for name, column in columns.items()} == {"images": "u", "names": "U"}


def test_a_single_number_is_no_column(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=np.ones((3, 2)), version=np.int64(2))
    assert list(read(Npz(), tmp_path, {"npz": "x.npz"})) == ["images"]


def test_object_arrays_are_refused_and_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.array([Trap()], dtype=object))
    problem = refusal(lambda: read(Npz(), tmp_path, {"npz": "x.npz"}))
    assert problem.code == "OL205"
    assert "pickled Python objects" in problem.claim


def test_a_pickle_by_another_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(pickle.dumps(Trap()))
    problem = refusal(lambda: read(Npz(), tmp_path, {"npz": "x.npz"}))
    assert (problem.code, "pickled" in problem.claim) == ("OL205", True)


@pytest.mark.parametrize("kept", [0, 10, 200, -30])
def test_a_truncated_archive_is_refused(tmp_path: Path, kept: int) -> None:
    np.savez(tmp_path / "x.npz", x=np.arange(100.0))
    (tmp_path / "x.npz").write_bytes((tmp_path / "x.npz").read_bytes()[:kept])
    problem = refusal(lambda: read(Npz(), tmp_path, {"npz": "x.npz"}))
    assert problem.code == "OL205"
    assert "truncated" in problem.claim


def test_an_archive_with_damaged_content_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", x=np.random.default_rng(0).random(1000))
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[2000:2100] = bytes(100)
    (tmp_path / "x.npz").write_bytes(content)
    assert refusal(lambda: read(Npz(), tmp_path, {"npz": "x.npz"})).code == "OL205"


def test_text_is_refused_without_talk_of_pickles(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_text("a,b\n1,2\n")
    problem = refusal(lambda: read(Npz(), tmp_path, {"npz": "x.npz"}))
    assert "pickle" not in problem.claim


def test_a_single_array_names_the_other_reader(tmp_path: Path) -> None:
    with (tmp_path / "x.npz").open("wb") as file:
        np.save(file, np.ones(3))
    problem = refusal(lambda: read(Npz(), tmp_path, {"npz": "x.npz"}))
    assert problem.hint == "read it with `npy:`"


class Trap:
    """Fails the test when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("unpickled",)


def test_a_large_stored_array_is_mapped_and_a_compressed_one_is_read(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).standard_normal((300, 1000)).astype(np.float32)
    turned = np.asfortranarray(numbers)
    np.savez(tmp_path / "x.npz", large=numbers, small=np.arange(300), turned=turned)
    np.savez_compressed(tmp_path / "y.npz", large=numbers)
    config = Npz().config.model_validate({"npz": "x.npz"})
    columns = Npz().read(config, {"x.npz": tmp_path / "x.npz"}, dict).arrays
    assert {name: isinstance(column, np.memmap) for name, column in columns.items()} == {
        "large": True,
        "small": False,
        "turned": False,
    }
    rows = np.array([299, 0, 7])
    assert np.array_equal(columns["large"][rows], numbers[rows])
    assert np.array_equal(columns["turned"][rows], numbers[rows])
    assert np.array_equal(read(Npz(), tmp_path, {"npz": "y.npz"})["large"], numbers)


def test_a_large_archive_that_is_cut_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.ones((300, 1000)))
    (tmp_path / "x.npz").write_bytes((tmp_path / "x.npz").read_bytes()[:-5000])
    assert refusal(lambda: read(Npz(), tmp_path, {"npz": "x.npz"})).code == "OL205"
