"""The data reader `jsonl`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from olivelike.digest import Json
from olivelike.sources.jsonl import Jsonl, Lines
from olivelike.sources.table import TableColumn
from olivelike.testing.source_contract import ReaderContract
from tests.sources.reading import read
from tests.sources.refusals import refusal


def lines(path: Path, *objects: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(item) + "\n" for item in objects), encoding="utf-8")
    return path


class TestJsonl(ReaderContract):
    def reader(self) -> Jsonl:
        return Jsonl()

    def example(self, folder: Path) -> dict[str, Json]:
        lines(folder / "data" / "x.jsonl", {"text": "a", "label": 0}, {"text": "b", "label": 1})
        return {"jsonl": "data/x.jsonl"}


def test_keys_are_typed_columns(tmp_path: Path) -> None:
    lines(
        tmp_path / "x.jsonl",
        {"n": 1, "x": 2, "ok": True, "t": "ä", "v": [1, 2]},
        {"n": 2, "x": 0.5, "ok": False, "t": "b", "v": [3, 4]},
    )
    columns = read(Jsonl(), tmp_path, {"jsonl": "x.jsonl"})
    assert {name: column.dtype.name for name, column in columns.items()} == {
        "n": "int64",
        "x": "float64",
        "ok": "bool",
        "t": "object",
        "v": "int64",
    }
    assert columns["v"].tolist() == [[1, 2], [3, 4]]
    assert columns["t"].tolist() == ["ä", "b"]


def test_lists_of_different_length_are_ragged(tmp_path: Path) -> None:
    lines(tmp_path / "x.jsonl", {"ids": []}, {"ids": [1, 2]}, {"ids": [3]})
    ids = read(Jsonl(), tmp_path, {"jsonl": "x.jsonl"})["ids"]
    assert ids.shape == (3,)
    assert [row.tolist() for row in ids] == [[], [1, 2], [3]]
    assert {row.dtype.name for row in ids} == {"int64"}


def test_empty_lines_and_a_byte_order_mark_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'\xef\xbb\xbf{"n": 1}\r\n\r\n  \n{"n": 2}')
    assert read(Jsonl(), tmp_path, {"jsonl": "x.jsonl"})["n"].tolist() == [1, 2]


def test_columns_leave_the_others_out(tmp_path: Path) -> None:
    lines(tmp_path / "x.jsonl", {"text": "a", "meta": {"deep": 1}}, {"text": "b", "meta": {}})
    assert list(read(Jsonl(), tmp_path, {"jsonl": "x.jsonl", "columns": ["text"]})) == ["text"]
    problem = refusal(lambda: read(Jsonl(), tmp_path, {"jsonl": "x.jsonl"}))
    assert (problem.code, problem.hint) == ("OL205", "leave it out with `columns: [text]`")
    assert problem.place.endswith("x.jsonl:1")


def test_a_column_that_is_not_there_is_refused_with_the_near_one(tmp_path: Path) -> None:
    lines(tmp_path / "x.jsonl", {"text": "a"})
    problem = refusal(lambda: read(Jsonl(), tmp_path, {"jsonl": "x.jsonl", "columns": ["txt"]}))
    assert (problem.code, problem.hint) == ("OL206", "did you mean text?")


@pytest.mark.parametrize(
    ("text", "line", "claim"),
    [
        (b'{"a": 1}\n\n{"a": \n', 3, "is no JSON: Expecting value"),
        (b'{"a": 1}\n[1]\n', 2, "holds a list and no JSON object"),
        (b'{"a": 1}\n{"a": "\xff"}\n', 2, "is not UTF-8 (byte 0xff)"),
        (b'{"a": 1}\n{"a": "x"}\n', 2, "the column 'a' mixes types: text after whole numbers"),
        (b'{"a": 1}\n{"a": [1]}\n', 2, "the column 'a' mixes types: a list after whole numbers"),
        (b'{"a": [1]}\n{"a": 2}\n', 2, "the column 'a' mixes types: whole numbers after lists"),
        (b'{"a": true}\n{"a": 1}\n', 2, "the column 'a' mixes types: whole numbers after truth values"),
        (b'{"a": [[1], [1, 2]]}\n', 1, "the column 'a' has a list of lists of different length in one sample"),
        (b'{"a": ["x"]}\n', 1, "the column 'a' has lists of something else than numbers"),
        (
            b'{"a": 9223372036854775808}\n',
            1,
            "the column 'a' has the number 9223372036854775808, which needs more than 64 bits",
        ),
    ],
)
def test_a_broken_line_is_refused_by_its_number(tmp_path: Path, text: bytes, line: int, claim: str) -> None:
    (tmp_path / "x.jsonl").write_bytes(text)
    problem = refusal(lambda: read(Jsonl(), tmp_path, {"jsonl": "x.jsonl"}))
    assert (problem.code, problem.claim) == ("OL205", claim)
    assert problem.place.endswith(f"x.jsonl:{line}")


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_without_objects_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.jsonl").write_text(text)
    assert refusal(lambda: read(Jsonl(), tmp_path, {"jsonl": "x.jsonl"})).code == "OL205"


def test_a_missing_number_is_none_and_a_missing_text_is_refused_by_its_sample(tmp_path: Path) -> None:
    lines(tmp_path / "x.jsonl", {"n": 1, "t": "a"}, {"n": None})
    config = Jsonl().config.model_validate({"jsonl": "x.jsonl"})
    columns = Jsonl().read(config, {"x.jsonl": tmp_path / "x.jsonl"}, dict).arrays
    assert np.isnan(columns["n"][np.array([1])]).all()
    problem = refusal(lambda: columns["t"][np.array([0, 1])])
    assert (problem.code, problem.claim) == ("OL208", "the column 't' has no value in sample 1")


def test_only_the_rows_asked_for_are_read_and_once_for_all_columns(tmp_path: Path) -> None:
    lines(tmp_path / "x.jsonl", *({"n": number, "t": str(number)} for number in range(1000)))
    config = Jsonl().config.model_validate({"jsonl": "x.jsonl"})
    columns = Jsonl().read(config, {"x.jsonl": tmp_path / "x.jsonl"}, dict).arrays
    rows = np.array([999, 3])
    assert columns["n"][rows].tolist() == [999, 3]
    assert columns["t"][rows].tolist() == ["999", "3"]
    column = columns["n"]
    assert isinstance(column, TableColumn)
    assert isinstance(column.table, Lines)
    assert column.table.parsed == 2
    assert column.table.starts.itemsize == 8
