"""The data reader `parquet`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from olivelike.contracts.data import DataSpec
from olivelike.contracts.metric import TensorInfo
from olivelike.digest import Json
from olivelike.sources.dataset import open_dataset
from olivelike.sources.parquet import Parquet, RowGroups
from olivelike.sources.table import TableColumn
from olivelike.testing.source_contract import ReaderContract
from tests.sources.reading import read
from tests.sources.refusals import refusal


def table(path: Path, columns: dict[str, object], group: int = 1 << 20) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.table(columns), path, row_group_size=group)
    return path


class TestParquet(ReaderContract):
    def reader(self) -> Parquet:
        return Parquet()

    def example(self, folder: Path) -> dict[str, Json]:
        table(folder / "data" / "x.parquet", {"text": ["a", "b", "c"], "label": [0, 1, 2]}, group=2)
        return {"parquet": "data/x.parquet"}


def test_columns_have_the_types_of_their_values(tmp_path: Path) -> None:
    fixed = pyarrow.array([[1.0, 2.0], [3.0, 4.0]], pyarrow.list_(pyarrow.float32(), 2))
    words = pyarrow.array(["a", "b"]).dictionary_encode()
    table(tmp_path / "x.parquet", {"n": [1, 2], "ok": [True, False], "v": fixed, "ids": [[1], [2, 3]], "w": words})
    columns = read(Parquet(), tmp_path, {"parquet": "x.parquet"})
    assert {name: (c.dtype.name, c.shape) for name, c in columns.items()} == {
        "n": ("int64", (2,)),
        "ok": ("bool", (2,)),
        "v": ("float64", (2, 2)),
        "ids": ("object", (2,)),
        "w": ("object", (2,)),
    }
    assert [row.tolist() for row in columns["ids"]] == [[1], [2, 3]]
    assert columns["w"].tolist() == ["a", "b"]


def test_a_folder_is_read_file_behind_file(tmp_path: Path) -> None:
    table(tmp_path / "data" / "b.parquet", {"n": [2, 3]})
    table(tmp_path / "data" / "a.parquet", {"n": [0, 1]})
    assert read(Parquet(), tmp_path, {"parquet": "data"})["n"].tolist() == [0, 1, 2, 3]
    table(tmp_path / "data" / "c.parquet", {"m": [0]})
    problem = refusal(lambda: read(Parquet(), tmp_path, {"parquet": "data"}))
    assert (problem.code, problem.claim) == ("OL205", "has other columns than a.parquet")


def test_one_row_group_is_decoded_at_a_time_and_only_where_it_is_drawn(tmp_path: Path) -> None:
    table(tmp_path / "x.parquet", {"x": np.arange(1000.0), "unused": np.arange(1000)}, group=10)
    spec = DataSpec("t", "parquet", {"parquet": "x.parquet"}, inputs={"x": "x"}, samples=25)
    data = open_dataset(spec, Parquet(), tmp_path, (TensorInfo("x", "float32", ("n",)),))
    drawn = [batch.feeds["x"].tolist() for batch in data.batches(5)]
    assert [value for batch in drawn for value in batch] == list(range(25))
    column = data.columns["x"]  # type: ignore[attr-defined]
    assert isinstance(column, TableColumn)
    groups = column.table
    assert isinstance(groups, RowGroups)
    assert groups.decoded == 30  # three groups of ten, each once
    assert [len(values) for values in groups.held[1].values()] == [10]


@pytest.mark.parametrize(
    ("values", "claim"),
    [
        ([{"a": 1}], "the column 'x' holds struct<a: int64>; only numbers, text, and lists of numbers become columns"),
        ([["a"]], "the column 'x' has lists of something else than numbers"),
        ([b"a"], "the column 'x' holds binary; only numbers, text, and lists of numbers become columns"),
    ],
)
def test_records_are_refused_unless_left_out(tmp_path: Path, values: list[object], claim: str) -> None:
    table(tmp_path / "x.parquet", {"x": values, "n": [1]})
    problem = refusal(lambda: read(Parquet(), tmp_path, {"parquet": "x.parquet"}))
    assert (problem.code, problem.claim, problem.hint) == ("OL205", claim, "leave it out with `columns: [n]`")
    assert list(read(Parquet(), tmp_path, {"parquet": "x.parquet", "columns": ["n"]})) == ["n"]


def test_a_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    table(tmp_path / "x.parquet", {"text": ["a"]})
    problem = refusal(lambda: read(Parquet(), tmp_path, {"parquet": "x.parquet", "columns": ["txt"]}))
    assert (problem.code, problem.hint) == ("OL206", "did you mean text?")


def test_missing_values_are_refused_where_they_are_drawn(tmp_path: Path) -> None:
    table(tmp_path / "x.parquet", {"t": ["a", None], "n": [1, None]})
    config = Parquet().config.model_validate({"parquet": "x.parquet"})
    columns = Parquet().read(config, {"x.parquet": tmp_path / "x.parquet"}, dict).arrays
    assert np.isnan(columns["n"][np.array([1])]).all()
    assert refusal(lambda: columns["t"][np.array([1])]).code == "OL208"


@pytest.mark.parametrize("kept", [0, 10, -20])
def test_a_truncated_file_is_refused(tmp_path: Path, kept: int) -> None:
    path = table(tmp_path / "x.parquet", {"n": list(range(100))})
    path.write_bytes(path.read_bytes()[:kept])
    problem = refusal(lambda: read(Parquet(), tmp_path, {"parquet": "x.parquet"}))
    assert (problem.code, "truncated" in problem.claim) == ("OL205", True)


def test_a_file_without_rows_and_a_folder_without_files_are_refused(tmp_path: Path) -> None:
    table(tmp_path / "x.parquet", {"n": np.arange(0)})
    assert refusal(lambda: read(Parquet(), tmp_path, {"parquet": "x.parquet"})).claim == "holds no rows"
    (tmp_path / "data").mkdir()
    assert refusal(lambda: read(Parquet(), tmp_path, {"parquet": "data"})).code == "OL205"


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table(tmp_path / "x.parquet", {"n": [1]})
    monkeypatch.setattr("olivelike.contracts.extras.find_spec", lambda name: None)
    problem = refusal(lambda: read(Parquet(), tmp_path, {"parquet": "x.parquet"}))
    assert (problem.code, problem.hint) == ("OL211", 'pip install "olivelike[data]"')
