"""The data reader `npy`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from olivelike.digest import Json
from olivelike.sources.npy import MAPPED_FROM, Npy
from olivelike.testing.source_contract import ReaderContract
from tests.sources.reading import read
from tests.sources.refusals import refusal


class TestNpy(ReaderContract):
    def reader(self) -> Npy:
        return Npy()

    def example(self, folder: Path) -> dict[str, Json]:
        for name in ("a", "b"):
            (folder / name).mkdir(exist_ok=True)
            np.save(folder / name / "x.npy", np.arange(6.0).reshape(3, 2))
        return {"npy": {"left": "a/x.npy", "right": "b/x.npy"}}


def test_one_file_is_a_column_called_like_it(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.ones((3, 2)))
    assert list(read(Npy(), tmp_path, {"npy": "images.npy"})) == ["images"]


def test_a_mapping_names_the_columns(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((3, 2)))
    np.save(tmp_path / "y.npy", np.ones(3))
    columns = read(Npy(), tmp_path, {"npy": {"image": "x.npy", "label": "y.npy"}})
    assert {name: column.shape for name, column in columns.items()} == {"image": (3, 2), "label": (3,)}


def test_a_large_file_is_mapped_and_not_read(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, MAPPED_FROM), np.uint8))
    config = Npy().config.model_validate({"npy": "x.npy"})
    column = Npy().read(config, {"x.npy": tmp_path / "x.npy"}, dict).arrays["x"]
    assert isinstance(column, np.memmap)
    assert not column.flags.writeable


def test_object_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{}, {}], dtype=object))
    problem = refusal(lambda: read(Npy(), tmp_path, {"npy": "x.npy"}))
    assert problem.code == "OL205"
    assert "pickled" in problem.claim


def test_a_truncated_file_is_refused_whether_mapped_or_read(tmp_path: Path) -> None:
    for size in (100, 2 * MAPPED_FROM):
        np.save(tmp_path / "x.npy", np.zeros(size, np.uint8))
        (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-1])
        assert refusal(lambda: read(Npy(), tmp_path, {"npy": "x.npy"})).code == "OL205"


def test_an_archive_names_the_other_reader(tmp_path: Path) -> None:
    with (tmp_path / "x.npy").open("wb") as file:
        np.savez(file, x=np.ones(3))
    assert refusal(lambda: read(Npy(), tmp_path, {"npy": "x.npy"})).hint == "read it with `npz:`"


def test_a_single_number_is_no_column(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.float32(1))
    assert "single number" in refusal(lambda: read(Npy(), tmp_path, {"npy": "x.npy"})).claim
