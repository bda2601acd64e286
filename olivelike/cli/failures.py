"""From an exception to what the user sees: one line per problem on standard error, and the exit code."""

from __future__ import annotations

import sys
import traceback

import typer
from typer.exceptions import TyperException

from olivelike.cli.render import complain
from olivelike.errors import OlivelikeError, Problem

INTERRUPTED = 130
BROKEN = 5
USAGE = 2


def exit_code_of(error: BaseException) -> int:
    """Says what went wrong and returns the exit code."""
    if "--debug" in sys.argv and not isinstance(error, typer.Exit):
        traceback.print_exception(error)
    match error:
        case typer.Exit():
            return error.exit_code
        case typer.Abort() | KeyboardInterrupt():
            complain([Problem("OL600", "interrupted", hint="the same command again resumes")])
            return INTERRUPTED
        case TyperException():
            if text := error.format_message().rstrip("."):  # empty where the help was printed instead
                complain([Problem("OL115", text, hint="see olivelike --help")])
            return USAGE
        case OlivelikeError():
            complain(error.problems)
            return error.exit_code
        case _:
            text = f"{type(error).__name__}: {error}"
            complain([Problem("OL599", f"internal error: {text}", hint="run again with --debug for the traceback")])
            return BROKEN
