"""Reading a folder's data with a reader, as the engine does once the files are in the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from olivelike.contracts.data import Column, DataReader
from olivelike.digest import Json

if TYPE_CHECKING:
    from olivelike.contracts.data import Array


def read(
    reader: DataReader, folder: Path, config: dict[str, Json], call: Callable[..., object] = dict
) -> dict[str, Array]:
    """Returns every column in full."""
    typed = reader.config.model_validate(config)
    columns = reader.read(typed, {name: folder / name for name in reader.files(typed)}, call)
    return {name: whole(column) for name, column in columns.arrays.items()}


def whole(column: Column) -> Array:
    """Returns all rows of a column."""
    return column[np.arange(len(column))]
