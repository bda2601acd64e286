"""Arrow files as the package `datasets` saves them: memory-mapped, so that only the rows that are drawn are looked at."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.contracts.data import Columns
from olivelike.errors import InputError, fail
from olivelike.sources.arrow_kinds import typed_columns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pyarrow import RecordBatch


def arrow_columns(paths: Sequence[Path], columns: Sequence[str] = ()) -> Columns:
    """Returns the columns of Arrow streams of one schema, one behind the other; `columns` are those wanted.

    Raises:
        InputError: OL205, damaged, empty, or with columns of records; OL206, a column that is not there.
    """
    batches = Batches(paths[0], [batch for path in paths for batch in _batches(path)])
    if not len(batches):
        raise fail(InputError, "OL205", "holds no rows", place=str(paths[0]), hint="save one row for each sample")
    return typed_columns(batches, batches.batches[0].schema, columns)


@dataclass(frozen=True, slots=True)
class Batches:
    """Record batches in memory-mapped files, as one table."""

    path: Path
    batches: Sequence[RecordBatch]

    @property
    def place(self) -> str:
        """What it is called in messages."""
        return str(self.path)

    def __len__(self) -> int:
        return sum(batch.num_rows for batch in self.batches)

    def values(self, column: str, rows: NDArray[np.intp]) -> Sequence[object]:
        """Returns a column's values in these rows."""
        starts, start = [], 0
        for batch in self.batches:
            starts.append(start)
            start += batch.num_rows
        at = [bisect_right(starts, row) - 1 for row in rows.tolist()]
        return [
            self.batches[part].column(column)[row - starts[part]].as_py()
            for part, row in zip(at, rows.tolist(), strict=True)
        ]


def _batches(path: Path) -> list[RecordBatch]:
    from pyarrow import ArrowException, ipc, memory_map

    try:
        with memory_map(str(path)) as source:
            return list(ipc.open_stream(source))
    except (OSError, ArrowException) as error:
        claim = f"is no Arrow file, or is truncated: {(str(error).splitlines() or [''])[0]}"
        raise fail(InputError, "OL205", claim, place=str(path), hint="save the data set again") from error
