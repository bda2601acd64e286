"""The data reader `csv`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from olivelike.digest import Json
from olivelike.sources.csv import Csv
from olivelike.testing.source_contract import ReaderContract
from tests.sources.reading import read
from tests.sources.refusals import refusal


class TestCsv(ReaderContract):
    def reader(self) -> Csv:
        return Csv()

    def example(self, folder: Path) -> dict[str, Json]:
        (folder / "table.csv").write_text("a,b,name\n1,0.5,x\n2,1.5,y\n", encoding="utf-8")
        return {"csv": "table.csv", "stack": {"features": ["a", "b"]}}


def write(folder: Path, text: str) -> dict[str, Json]:
    (folder / "table.csv").write_text(text, encoding="utf-8")
    return {"csv": "table.csv"}


def test_columns_are_whole_numbers_numbers_or_text(tmp_path: Path) -> None:
    columns = read(Csv(), tmp_path, write(tmp_path, "a,b,c,d\n1,1,x,1_000\n-2,2e-3,é,2\n"))
    assert [columns[name].dtype for name in "abcd"] == [np.int64, np.float64, object, object]
    assert columns["a"].tolist() == [1, -2]
    assert columns["b"].tolist() == [1.0, 0.002]
    assert columns["c"].tolist() == ["x", "é"]


@pytest.mark.parametrize("missing", ["", "NA", "nan", "null"])
def test_a_missing_number_is_kept_as_not_a_number(tmp_path: Path, missing: str) -> None:
    columns = read(Csv(), tmp_path, write(tmp_path, f"a,b\n1,1\n{missing},2\n"))
    assert np.isnan(columns["a"]).tolist() == [False, True]
    assert columns["b"].dtype == np.int64


def test_a_number_too_large_for_64_bits_becomes_a_float(tmp_path: Path) -> None:
    columns = read(Csv(), tmp_path, write(tmp_path, f"a\n{2**70}\n"))
    assert columns["a"].dtype == np.float64


def test_delimiter_quotes_and_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text('\ufeffa; b\n"x;y"; 2\n', encoding="utf-8")
    columns = read(Csv(), tmp_path, {"csv": "table.csv", "delimiter": ";"})
    assert columns["a"].tolist() == ["x;y"]
    assert columns["b"].tolist() == [2]


def test_stack_puts_columns_side_by_side(tmp_path: Path) -> None:
    config = write(tmp_path, "a,b,c\n1,0.5,x\n2,1.5,y\n")
    columns = read(Csv(), tmp_path, {**config, "stack": {"features": ["b", "a"]}})
    assert columns["features"].tolist() == [[0.5, 1.0], [1.5, 2.0]]


def test_stack_of_text_or_of_an_unknown_column_is_refused(tmp_path: Path) -> None:
    config = write(tmp_path, "height,name\n1,x\n")
    assert "holds text" in refusal(lambda: read(Csv(), tmp_path, {**config, "stack": {"f": ["name"]}})).claim
    problem = refusal(lambda: read(Csv(), tmp_path, {**config, "stack": {"f": ["heigth"]}}))
    assert (problem.code, problem.hint) == ("OL206", "did you mean height?")


def test_text_that_is_not_utf8_says_where(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(b"a\nx\xe9\n")
    problem = refusal(lambda: read(Csv(), tmp_path, {"csv": "table.csv"}))
    assert problem.code == "OL205"
    assert problem.claim == "is not UTF-8 (byte 0xe9)"
    assert problem.place.endswith("table.csv:2")


def test_a_row_of_another_length_is_refused_with_its_line(tmp_path: Path) -> None:
    problem = refusal(lambda: read(Csv(), tmp_path, write(tmp_path, "a,b\n1,2\n3\n")))
    assert problem.place.endswith("table.csv:3")
    assert "has 1 cells where the first line names 2 columns" in problem.claim


@pytest.mark.parametrize(("text", "says"), [("", "is empty"), ("a,b\n", "no rows"), ("a,a\n1,2\n", "'a' twice")])
def test_a_table_without_content_or_names_is_refused(tmp_path: Path, text: str, says: str) -> None:
    problem = refusal(lambda: read(Csv(), tmp_path, write(tmp_path, text)))
    assert problem.code == "OL205"
    assert says in problem.claim


def test_an_open_quote_is_refused(tmp_path: Path) -> None:
    assert refusal(lambda: read(Csv(), tmp_path, write(tmp_path, 'a\n"x\n'))).code == "OL205"
