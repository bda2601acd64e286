"""The data reader `jsonl`: one JSON object a line, found once by a scan and parsed again when its row is asked for."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

from pydantic import BaseModel, Field

from olivelike.contracts.data import Columns, DataReader, ReaderConfig
from olivelike.errors import InputError, OlivelikeError, fail, nearest
from olivelike.sources.json_kinds import KindSeen, Unusable
from olivelike.sources.table import TableColumn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BOM = b"\xef\xbb\xbf"


class JsonlConfig(ReaderConfig):
    """Configuration of `jsonl`."""

    jsonl: str
    """A text file in UTF-8 with one JSON object in each line."""
    columns: Annotated[tuple[str, ...], Field(examples=[["text", "label"]])] = ()
    """The keys that become columns; all without it."""


class Jsonl(DataReader):
    """Reads `{jsonl: reviews.jsonl}`: each key of the objects is a column; empty lines are skipped.

    A column is whole numbers, numbers, truth values, text, or lists of numbers; lists that differ in length make a ragged
    column. The file is read through once to find the lines and the types; after that a line is read when its sample is,
    and eight bytes for each sample are all that stays in memory. A key that is missing or `null` is refused, by column and
    sample, only where the column is used.
    """

    config: ClassVar[type[BaseModel]] = JsonlConfig

    def files(self, config: BaseModel) -> tuple[str, ...]:
        """Returns the one file."""
        return (cast("JsonlConfig", config).jsonl,)

    def count(self, config: BaseModel, files: Mapping[str, Path]) -> int:
        """Returns the number of lines that are not empty; parses none."""
        path = files[cast("JsonlConfig", config).jsonl]
        try:
            with path.open("rb") as file:
                return sum(1 for line in file if line.removeprefix(BOM).strip())
        except OSError as error:
            raise _refused(f"cannot be read: {error}", str(path), "check the path") from error

    def read(self, config: BaseModel, files: Mapping[str, Path], call: Callable[..., object]) -> Columns:
        """Scans the file.

        Raises:
            InputError: OL205, missing, not UTF-8, a line that is no JSON object, or a column of mixed types.
        """
        typed = cast("JsonlConfig", config)
        return jsonl_columns([files[typed.jsonl]], typed.columns)


def jsonl_columns(paths: Sequence[Path], columns: Sequence[str] = ()) -> Columns:
    """Returns the columns of one file; several are refused.

    Raises:
        InputError: OL205, OL206, see `scanned`.
    """
    if len(paths) > 1:
        claim = f"is one of {len(paths)} files, and JSON lines are read from one"
        raise _refused(claim, str(paths[0]), "join them, or save them as Parquet")
    lines, kinds = scanned(paths[0], columns)
    return Columns({name: TableColumn(lines, name, seen.kind) for name, seen in kinds.items()})


@dataclass(slots=True)
class Lines:
    """The objects of a file, by the offsets of their lines; the rows of the last batch are kept for its other columns.

    Attributes:
        path: the file.
        starts: where each line that holds an object starts, in bytes.
        parsed: how many lines were parsed since the scan.
    """

    path: Path
    starts: array[int]
    parsed: int = 0
    last: tuple[tuple[int, ...], Sequence[Mapping[str, object]]] = field(default=((), ()))

    @property
    def place(self) -> str:
        """What it is called in messages."""
        return str(self.path)

    def __len__(self) -> int:
        return len(self.starts)

    def values(self, column: str, rows: NDArray[np.intp]) -> Sequence[object]:
        """Returns a column's values in these rows."""
        wanted = tuple(rows.tolist())
        if self.last[0] != wanted:
            self.last = (wanted, self._objects(wanted))
        return [found.get(column) for found in self.last[1]]

    def _objects(self, rows: Sequence[int]) -> list[Mapping[str, object]]:
        found: list[Mapping[str, object]] = []
        with self.path.open("rb") as file:
            for row in rows:
                file.seek(self.starts[row])
                found.append(json.loads(file.readline()))
        self.parsed += len(rows)
        return found


def scanned(path: Path, columns: Sequence[str] = ()) -> tuple[Lines, dict[str, KindSeen]]:
    """Finds a file's objects and the type of every column.

    Args:
        path: the file.
        columns: those wanted, in this order; empty for all, in the order in which they first occur.

    Raises:
        InputError: OL205, with the line.
    """
    starts: array[int] = array("q")
    kinds: dict[str, KindSeen] = {name: KindSeen() for name in columns}
    keys: set[str] = set()
    for number, start, found in _objects(path):
        starts.append(start)
        keys.update(found)
        for name, value in found.items():
            if columns and name not in kinds:
                continue
            try:
                kinds.setdefault(name, KindSeen()).see(value)
            except Unusable as error:
                raise _unusable(f"the column {name!r} {error}", path, number, name, kinds) from error
    if not starts:
        raise _refused("holds no objects", str(path), "write one JSON object in each line")
    absent = next((name for name in columns if name not in keys), "")
    if absent:
        raise fail(InputError, "OL206", f"there is no column {absent!r}", place=str(path), hint=nearest(absent, keys))
    return Lines(path, starts), kinds


def _objects(path: Path) -> Iterator[tuple[int, int, dict[str, object]]]:
    start = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                skipped = len(BOM) if number == 1 and line.startswith(BOM) else 0
                if line[skipped:].strip():
                    yield number, start + skipped, _object(line[skipped:], path, number)
                start += len(line)
    except OSError as error:
        raise _refused(f"cannot be read: {error}", str(path), "check the path") from error


def _object(line: bytes, path: Path, number: int) -> dict[str, object]:
    hint = "write one JSON object in each line"
    try:
        found = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        claim = f"is not UTF-8 (byte {error.object[error.start]:#04x})"
        raise _refused(claim, f"{path}:{number}", "save it as UTF-8") from error
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise _refused(f"is no JSON: {reason}", f"{path}:{number}", hint) from error
    if not isinstance(found, dict):
        raise _refused(f"holds a {type(found).__name__} and no JSON object", f"{path}:{number}", hint)
    return found


def _unusable(claim: str, path: Path, number: int, column: str, known: Mapping[str, object]) -> OlivelikeError:
    others = [name for name in known if name != column]
    hint = f"leave it out with `columns: [{', '.join(others)}]`" if others else "write values of one type"
    return _refused(claim, f"{path}:{number}", hint)


def _refused(claim: str, place: str, hint: str) -> OlivelikeError:
    return fail(InputError, "OL205", claim, place=place, hint=hint)
