"""Searching for the units that cause a drop: one culprit after the other by halving, and a check that each is needed.

With `k` culprits among `n` units that takes about `k (log2 n + 2)` evaluations: group testing by repeated binary splitting
(Hwang, A method for detecting all defective members in a population by group testing, 1972) over growing beginnings of the
list, which is how QuickXplain (Junker 2004) and delta debugging (Zeller & Hildebrandt 2002) find a minimal set. Every step keeps
one restored set that suffices and one that does not, so that what is found suffices whatever the interactions; minimal it is
as long as restoring more never hurts, and where that fails, which the check sees, `ddmin` makes it minimal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Culprits(Generic[Item]):
    """What a search found.

    Attributes:
        found: a set that suffices and of which no member can be left out, in the order of the list.
        monotone: False where a member turned out to be superfluous, because restoring more had hurt on the way.
    """

    found: tuple[Item, ...]
    monotone: bool


def culprits(items: Sequence[Item], suffices: Callable[[Sequence[Item]], bool]) -> Culprits[Item]:
    """Returns a minimal set of items that suffices.

    Of several such sets it is the one that spares the last items of the list: put the cheap ones first.

    Args:
        items: all of them; together they suffice.
        suffices: whether a set does; asked again about the same sets, so it should remember.

    Example:
        >>> found = culprits(range(100), lambda chosen: {7, 42, 77} <= set(chosen))
        >>> found.found, found.monotone
        ((7, 42, 77), True)
    """
    found: list[Item] = []
    end = len(items)
    while not suffices(found):
        end = _shortest(items, end, found, suffices)
        found.append(items[end])
    needed = _ddmin([item for item in items if item in found], suffices)
    return Culprits(tuple(needed), len(needed) == len(found))


def _shortest(
    items: Sequence[Item], end: int, found: Sequence[Item], suffices: Callable[[Sequence[Item]], bool]
) -> int:
    """Returns the place of the item with which a beginning of the list, added to what was found, starts to suffice."""
    low, high = 0, end  # with `low` items it does not suffice, with `high` it does
    while high - low > 1:
        middle = (low + high) // 2
        if suffices([*found, *items[:middle]]):
            high = middle
        else:
            low = middle
    return low


def _ddmin(items: Sequence[Item], suffices: Callable[[Sequence[Item]], bool]) -> list[Item]:
    """Returns a part of a set that suffices and of which no single item can be left out (complements of ddmin).

    Where every item is needed, which is the rule, this is one question for each.
    """
    kept = list(items)
    for item in _reversed(items):
        rest = [other for other in kept if other != item]
        if suffices(rest):
            return _ddmin(rest, suffices)
    return kept


def _reversed(items: Sequence[Item]) -> Iterable[Item]:
    return reversed(items)
