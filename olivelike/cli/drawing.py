"""Drawing tables as lines of plain text, nothing of them cut, no blanks at their ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def counted(count: int, noun: str) -> str:
    """Returns a number with its noun: `1 recipe`, `3 recipes`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def escaped(text: str) -> str:
    """Returns text that a table shows as it is; square brackets are markup to it otherwise."""
    from rich.markup import escape

    return escape(text)


def drawn(table: Table, console: Console) -> Iterator[str]:
    """Yields the lines of a table as wide as the console."""
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().rstrip("\n").split("\n"):
        yield line.rstrip()
