"""Tables whose columns are read row by row: what kind of values a column holds, and the rows of a batch as an array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, cast

from olivelike.errors import InputError, OlivelikeError, fail
from olivelike.sources.ragged import ragged

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array

Element: TypeAlias = Literal["bool", "int", "float", "text", "unknown"]
DTYPES: dict[Element, str] = {
    "bool": "bool",
    "int": "int64",
    "float": "float64",
    "text": "object",
    "unknown": "float64",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """What a column holds.

    Attributes:
        element: the type of single values.
        lists: whether a sample is a list of them.
        shape: the shape of every sample; of a ragged column that of one element of its lists.
        ragged: whether the lists differ in length.
    """

    element: Element
    lists: bool = False
    shape: tuple[int, ...] = ()
    ragged: bool = False


class Table(Protocol):
    """Rows on disk."""

    @property
    def place(self) -> str:
        """What it is called in messages."""

    def __len__(self) -> int:
        """Returns the number of rows."""

    def values(self, column: str, rows: NDArray[np.intp]) -> Sequence[object]:
        """Returns a column's values in these rows: numbers, texts, lists of numbers, `None` where there is none."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table; implements `contracts.data.Column` and holds no rows itself."""

    table: Table
    name: str
    kind: Kind

    @property
    def ragged(self) -> bool:
        """Whether samples differ in length."""
        return self.kind.ragged

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of samples, then the shape of one; of a ragged column the number alone."""
        return (len(self.table),) if self.kind.ragged else (len(self.table), *self.kind.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its elements; object for text and for ragged columns."""
        import numpy as np

        return np.dtype(object if self.kind.ragged else DTYPES[self.kind.element])

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, rows: NDArray[np.intp], /) -> Array:
        values = self.table.values(self.name, rows)
        absent = [row for value, row in zip(values, rows.tolist(), strict=True) if value is None]
        if absent and (self.kind.lists or self.kind.element == "text"):
            raise self._missing(absent[0])
        if self.kind.lists:
            return self._lists(values)
        return _single(values, self.kind.element)

    def _lists(self, values: Sequence[object]) -> Array:
        import numpy as np

        dtype = np.dtype(DTYPES[self.kind.element])
        arrays = [np.asarray(value, dtype=dtype) for value in values]
        if self.kind.ragged:
            return ragged([array if array.size else array.reshape((0, *self.kind.shape)) for array in arrays])
        return np.stack(arrays) if arrays else np.empty((0, *self.kind.shape), dtype=dtype)

    def _missing(self, row: int) -> OlivelikeError:
        claim = f"the column {self.name!r} has no value in sample {row}"
        return fail(InputError, "OL208", claim, place=self.table.place, hint="fill it or leave the sample out")


def _single(values: Sequence[object], element: Element) -> Array:
    import numpy as np

    if element == "text":
        column = np.empty(len(values), dtype=object)
        column[:] = cast("list[object]", list(values))
        return column
    if any(value is None for value in values):  # refused by name and sample where it is used
        return np.array([np.nan if value is None else float(cast("float", value)) for value in values])
    return np.array(values, dtype=DTYPES[element])
