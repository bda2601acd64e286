"""Names with one `*` in them, by which users mean several inputs or outputs at once: `past_key_values.*`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

ValueT = TypeVar("ValueT")


def filling(pattern: str, name: str) -> tuple[str, ...]:
    """Returns the text that a pattern's `*` stands for in a name (empty where it has no `*`); nothing where it does not fit.

    Example:
        >>> filling("past.*.key", "past.0.key"), filling("x", "x"), filling("x", "y")
        (('0',), ('',), ())
    """
    start, star, end = pattern.partition("*")
    if not star:
        return ("",) if name == pattern else ()
    fits = len(name) >= len(start) + len(end) and name.startswith(start) and name.endswith(end)
    return (name[len(start) : len(name) - len(end)],) if fits else ()


def by_name(wanted: Mapping[str, ValueT], names: Iterable[str]) -> dict[str, ValueT]:
    """Returns what is wanted for each name: a whole name goes before a pattern, an earlier pattern before a later one.

    Example:
        >>> by_name({"past.*": 1, "past.0": 2}, ["past.0", "past.1", "x"])
        {'past.0': 2, 'past.1': 1}
    """
    patterns = [pattern for pattern in wanted if "*" in pattern]
    found = {}
    for name in names:
        fitting = (pattern for pattern in patterns if filling(pattern, name))
        chosen = name if name in wanted else next(fitting, "")
        if chosen:
            found[name] = wanted[chosen]
    return found


def matching_none(wanted: Iterable[str], names: Iterable[str]) -> list[str]:
    """Returns the names and patterns that none of the names fits."""
    known = list(names)
    return [pattern for pattern in wanted if not any(filling(pattern, name) for name in known)]
