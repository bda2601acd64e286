"""The data reader `csv`: the columns of a text table, numbers where every cell is one, else text."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

from pydantic import BaseModel, Field, StringConstraints

from olivelike.contracts.data import Column, Columns, DataReader, ReaderConfig
from olivelike.errors import InputError, OlivelikeError, fail, nearest

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "null"})


class CsvConfig(ReaderConfig):
    """Configuration of `csv`."""

    csv: str
    """A text file in UTF-8 whose first line names the columns."""
    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] = ","
    """The character between cells."""
    stack: dict[str, list[str]] = Field(default_factory=dict)
    """New columns made of several numeric ones side by side: `{features: [height, width]}` gives `[samples, 2]`."""


class Csv(DataReader):
    """Reads `{csv: table.csv}`.

    A column is whole numbers (int64) or numbers (float64) where every cell is one, else text. An empty cell (or `NA`, `nan`,
    `null`) in a column of numbers is not a number; it is refused, by column and sample, only where the column is used.
    """

    config: ClassVar[type[BaseModel]] = CsvConfig

    def files(self, config: BaseModel) -> tuple[str, ...]:
        """Returns the one file."""
        return (cast("CsvConfig", config).csv,)

    def count(self, config: BaseModel, files: Mapping[str, Path]) -> int:
        """Returns the number of rows below the names."""
        typed = cast("CsvConfig", config)
        return len(_table(files[typed.csv], typed.delimiter)[1])

    def read(self, config: BaseModel, files: Mapping[str, Path], call: Callable[..., object]) -> Columns:
        """Reads the whole table.

        Raises:
            InputError: OL205, missing, not UTF-8, not a table; OL206, `stack` names no numeric column.
        """
        typed = cast("CsvConfig", config)
        path = files[typed.csv]
        names, rows = _table(path, typed.delimiter)
        arrays: dict[str, Array] = {name: _typed([row[at] for row in rows]) for at, name in enumerate(names)}
        columns: dict[str, Column] = dict(arrays)
        for name, parts in typed.stack.items():
            columns[name] = _stacked(parts, arrays, path)
        return Columns(columns)


def _table(path: Path, delimiter: str) -> tuple[list[str], list[list[str]]]:
    reader = csv.reader(io.StringIO(_text(path), newline=""), delimiter=delimiter, strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
        _check_names(names, path)
        rows = [_checked(row, names, f"{path}:{reader.line_num}") for row in reader if row]
    except csv.Error as error:
        hint = "check that it is a table, and its quotes"
        raise _refused(f"cannot be read: {error}", f"{path}:{reader.line_num}", hint) from error
    if not rows:
        raise _refused("holds no rows", str(path), "write one line for each sample below the names")
    return names, rows


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        claim = f"is not UTF-8 (byte {error.object[error.start]:#04x})"
        raise _refused(claim, f"{path}:{line}", "save it as UTF-8") from error
    except IsADirectoryError as error:
        raise _refused("is a folder, not a table", str(path), "name the file in it") from error
    except OSError as error:
        raise _refused(f"cannot be read: {error}", str(path), "check the path") from error


def _check_names(names: Sequence[str], path: Path) -> None:
    if not any(names):
        raise _refused("is empty", str(path), "its first line names the columns")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _refused(f"names the column {twice[0]!r} twice", f"{path}:1", "give every column a name of its own")


def _checked(row: list[str], names: Sequence[str], place: str) -> list[str]:
    if len(row) != len(names):
        claim = f"has {len(row)} cells where the first line names {len(names)} columns"
        raise _refused(claim, place, "check the delimiter and the quotes")
    return row


def _typed(cells: Sequence[str]) -> Array:
    import numpy as np

    for parse, dtype in ((_whole, np.int64), (_number, np.float64)):
        try:
            return np.array([parse(cell.strip()) for cell in cells], dtype=dtype)
        except (ValueError, OverflowError):
            continue
    return np.array(cells, dtype=object)


def _whole(text: str) -> int:
    if "_" in text:  # Python reads 1_000 as a number, tables do not
        raise ValueError(text)
    return int(text)


def _number(text: str) -> float:
    if "_" in text:
        raise ValueError(text)
    return float("nan") if text in MISSING else float(text)


def _stacked(parts: Sequence[str], arrays: Mapping[str, Array], path: Path) -> Array:
    import numpy as np

    for name in parts:
        if name not in arrays:
            raise fail(InputError, "OL206", f"no column {name!r} to stack", place=str(path), hint=nearest(name, arrays))
        if arrays[name].dtype.kind == "O":
            claim = f"the column {name!r} holds text and cannot be stacked"
            raise fail(InputError, "OL206", claim, place=str(path), hint="stack columns of numbers")
    return np.stack([arrays[name] for name in parts], axis=1)


def _refused(claim: str, place: str, hint: str) -> OlivelikeError:
    return fail(InputError, "OL205", claim, place=place, hint=hint)
