"""The type of a column of JSON values, found value by value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike.sources.table import Element, Kind

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

WORDS: dict[Element, str] = {
    "bool": "truth values",
    "int": "whole numbers",
    "float": "numbers",
    "text": "text",
    "unknown": "nothing",
}


class Unusable(ValueError):  # noqa: N818 - a reason on its way to becoming an InputError with a place
    """Why a value does not belong into its column, as the rest of a sentence about the column."""


@dataclass(slots=True)
class KindSeen:
    """What a column's values so far have in common.

    Attributes:
        element: their type; whole numbers among numbers are numbers.
        lists: whether they are lists; false until a value says so.
        shape: the shape of the first list.
        ragged: whether another list had another length.
        empty: whether nothing but empty values was seen.
    """

    element: Element = "unknown"
    lists: bool = False
    shape: tuple[int, ...] = ()
    ragged: bool = False
    empty: bool = True

    @property
    def kind(self) -> Kind:
        """The column's kind."""
        return Kind(self.element, self.lists, self.shape[1:] if self.ragged else self.shape, self.ragged)

    def see(self, value: object) -> None:
        """Takes one more value into account.

        Raises:
            Unusable: it is of another type than those before, or of a type that no column has.
        """
        match value:
            case None:
                return
            case bool():
                self._join("bool", lists=False)
            case int() if not -(1 << 63) <= value < 1 << 63:
                raise Unusable(f"has the number {value}, which needs more than 64 bits")
            case int():
                self._join("int", lists=False)
            case float():
                self._join("float", lists=False)
            case str():
                self._join("text", lists=False)
            case list():
                self._see_list(value)
            case _:
                raise Unusable("holds objects; only numbers, text, and lists of numbers become columns")
        self.empty = False

    def _see_list(self, value: list[object]) -> None:
        array = _array(value)
        if not array.size:
            self._join("unknown", lists=True)
        else:
            self._join({"b": "bool", "i": "int", "f": "float"}[array.dtype.kind], lists=True)  # type: ignore[arg-type]
        if self.empty:
            self.shape = array.shape
        elif array.shape != self.shape:
            self._vary(array)

    def _vary(self, array: Array) -> None:
        tail = array.shape[1:]
        if self.shape[1:] != tail and array.size and self.shape != (0,):
            raise Unusable(f"has lists of shape {list(array.shape)} and of {list(self.shape)}")
        if self.shape == (0,):
            self.shape = (0, *tail)
        self.ragged = True

    def _join(self, element: Element, *, lists: bool) -> None:
        known = self.element
        if not self.empty and lists != self.lists:
            one, other = ("a list", WORDS[known]) if lists else (WORDS[element], "lists")
            raise Unusable(f"mixes types: {one} after {other}")
        self.lists = lists
        if known == "unknown" or element == "unknown":
            self.element = element if known == "unknown" else known
        elif {known, element} == {"int", "float"}:
            self.element = "float"
        elif known != element:
            raise Unusable(f"mixes types: {WORDS[element]} after {WORDS[known]}")


def _array(value: list[object]) -> Array:
    import numpy as np

    try:
        array = np.asarray(value)
    except (ValueError, OverflowError) as error:
        raise Unusable("has a list of lists of different length in one sample") from error
    if array.size and array.dtype.kind not in "bif":
        raise Unusable("has lists of something else than numbers")
    return array
