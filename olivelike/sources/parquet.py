"""The data reader `parquet`: columns of Parquet files, of which one row group at a time is decoded."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

from pydantic import BaseModel, Field

from olivelike.contracts.data import Columns, DataReader, ReaderConfig
from olivelike.contracts.extras import need
from olivelike.digest import files_below
from olivelike.errors import InputError, OlivelikeError, fail
from olivelike.sources.arrow_kinds import typed_columns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pyarrow import ChunkedArray
    from pyarrow.parquet import ParquetFile

SUFFIX = ".parquet"


class ParquetConfig(ReaderConfig):
    """Configuration of `parquet`."""

    parquet: str
    """A file, or a folder whose files are read one behind the other, in the order of their names."""
    columns: Annotated[tuple[str, ...], Field(examples=[["text", "label"]])] = ()
    """The columns to take; all without it."""


class Parquet(DataReader):
    """Reads `{parquet: reviews.parquet}` or a folder of such files.

    A column is whole numbers, numbers, truth values, text, or lists of numbers; lists without a fixed size make a ragged
    column. Files are memory-mapped and decoded one row group at a time, so that memory does not grow with their number;
    `shuffle` reads a row group again for each batch that has a row of it. Needs the extra `data`.
    """

    config: ClassVar[type[BaseModel]] = ParquetConfig

    def files(self, config: BaseModel) -> tuple[str, ...]:
        """Returns the file or the folder."""
        return (cast("ParquetConfig", config).parquet,)

    def count(self, config: BaseModel, files: Mapping[str, Path]) -> int:
        """Returns the number of samples."""
        return self.read(config, files, dict).count

    def read(self, config: BaseModel, files: Mapping[str, Path], call: Callable[..., object]) -> Columns:
        """Reads the files' footers.

        Raises:
            InputError: OL205, missing, not Parquet, empty, or with columns of records; OL211, no pyarrow.
        """
        typed = cast("ParquetConfig", config)
        path = files[typed.parquet]
        paths = [path / name for name in files_below(path) if name.endswith(SUFFIX)] if path.is_dir() else [path]
        if not paths:
            raise _refused("holds no Parquet files", path, f"name a folder with files *{SUFFIX}")
        return parquet_columns(paths, typed.columns)


def parquet_columns(paths: Sequence[Path], columns: Sequence[str] = ()) -> Columns:
    """Returns the columns of Parquet files of one schema; `columns` are those wanted, all where it is empty.

    Raises:
        InputError: OL205, OL206 (a column that is not there), OL211.
    """
    need("data", "pyarrow", what="reading Parquet")
    files = [_opened(path) for path in paths]
    schema = files[0].schema_arrow
    for path, file in zip(paths, files, strict=True):
        if file.schema_arrow.names != schema.names or file.schema_arrow.types != schema.types:
            raise _refused(f"has other columns than {paths[0].name}", path, "read files of one schema")
    groups = RowGroups.of(paths[0], files)
    if not len(groups):
        raise _refused("holds no rows", paths[0], "write one row for each sample")
    return typed_columns(groups, schema, columns)


@dataclass(slots=True)
class RowGroups:
    """The row groups of several files as one table; the columns decoded last stay, for one row group.

    Attributes:
        path: the first file, for messages.
        parts: a file and the number of a row group in it.
        starts: the number of the first row of each part.
        count: how many rows there are.
        held: the number of a part and its decoded columns.
        decoded: how many values were decoded so far.
    """

    path: Path
    parts: Sequence[tuple[ParquetFile, int]]
    starts: Sequence[int]
    count: int
    held: tuple[int, dict[str, ChunkedArray]] = field(default=(-1, {}))
    decoded: int = 0

    @classmethod
    def of(cls, path: Path, files: Iterable[ParquetFile]) -> RowGroups:
        """Returns the table; reads nothing but footers."""
        parts, starts, count = [], [], 0
        for file in files:
            for group in range(file.metadata.num_row_groups):
                parts.append((file, group))
                starts.append(count)
                count += file.metadata.row_group(group).num_rows
        return cls(path, parts, starts, count)

    @property
    def place(self) -> str:
        """What it is called in messages."""
        return str(self.path)

    def __len__(self) -> int:
        return self.count

    def values(self, column: str, rows: NDArray[np.intp]) -> Sequence[object]:
        """Returns a column's values in these rows."""
        found: list[object] = [None] * len(rows)
        by_part: dict[int, list[tuple[int, int]]] = {}
        for at, row in enumerate(rows.tolist()):
            part = bisect_right(self.starts, row) - 1
            by_part.setdefault(part, []).append((at, row - self.starts[part]))
        for part, wanted in by_part.items():
            taken = self._decoded(part, column).take([row for _, row in wanted]).to_pylist()
            for (at, _), value in zip(wanted, taken, strict=True):
                found[at] = value
        return found

    def _decoded(self, part: int, column: str) -> ChunkedArray:
        from pyarrow import ArrowException

        if self.held[0] != part:
            self.held = (part, {})
        if column not in self.held[1]:
            file, group = self.parts[part]
            try:
                values = file.read_row_group(group, columns=[column]).column(0)
            except (OSError, ArrowException) as error:
                raise _refused(f"is damaged: {_reason(error)}", self.path, "write the file again") from error
            self.decoded += len(values)
            self.held[1][column] = values
        return self.held[1][column]


def _opened(path: Path) -> ParquetFile:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(path, memory_map=True)
    except (OSError, ArrowException) as error:
        claim = f"is no Parquet file, or is truncated: {_reason(error)}"
        raise _refused(claim, path, "write the file again") from error


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _refused(claim: str, path: Path, hint: str) -> OlivelikeError:
    return fail(InputError, "OL205", claim, place=str(path), hint=hint)
