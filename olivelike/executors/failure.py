"""The executor's boundary: whatever escapes a task becomes a `Failed` with one line of reason and the traceback."""

from __future__ import annotations

import traceback

from olivelike.contracts.outcome import Failed
from olivelike.errors import OlivelikeError

LAST_LINES = 40
LONGEST_REASON = 500


def failed_by(error: BaseException) -> Failed:
    """Returns the failure that an exception amounts to.

    The reason is the code and claim of an error that olivelike raised on purpose, else OL599 with the exception's type
    and message.
    """
    told = str(error) if isinstance(error, OlivelikeError) else f"OL599: {type(error).__name__}: {error}"
    return Failed(one_line(told), log=last_lines("".join(traceback.format_exception(error))))


def one_line(text: str) -> str:
    """Returns text on one line of at most 500 characters."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_REASON else f"{line[: LONGEST_REASON - 3]}..."


def last_lines(text: str) -> str:
    """Returns the last 40 lines of a text."""
    return "\n".join(text.rstrip().splitlines()[-LAST_LINES:])
