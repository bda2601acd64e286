"""Which columns hold text."""

from __future__ import annotations

from olivelike.contracts.data import Columns
from olivelike.sources.ragged import is_ragged_column


def texts_of(columns: Columns) -> list[str]:
    """Returns the names of the columns of text; ragged ones, which have the type object too, are none."""
    return [
        name for name, column in columns.arrays.items() if column.dtype.kind in "OU" and not is_ragged_column(column)
    ]
