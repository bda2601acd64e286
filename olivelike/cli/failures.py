"""From an exception to what the user sees: problems on standard error, an answer document where one was asked for, an exit code.

The command line may be what is wrong, so its flags are looked for as they were typed.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from itertools import pairwise

import typer
from typer.exceptions import TyperException

from olivelike.cli.render import complain, document
from olivelike.errors import OlivelikeError, Problem

INTERRUPTED = 130
BROKEN = 5
USAGE = 2


def exit_code_of(error: BaseException) -> int:
    """Says what went wrong and returns the exit code."""
    if isinstance(error, typer.Exit):
        return error.exit_code
    problems, code = _problems(error), _code(error)
    if problems:
        trace = "".join(traceback.format_exception(error)) if _typed("--debug") else ""
        complain(problems, as_events=_typed("--log-format", "json"), trace=trace)
        if _typed("--json"):
            document(failure_json(problems))
    return code


def failure_json(problems: Sequence[Problem]) -> dict[str, object]:
    """Returns the answer document of a command that has no answer."""
    validity = {"valid": False} if "validate" in sys.argv[1:2] else {}
    return {**validity, "problems": [problem.to_json() for problem in problems]}


def _problems(error: BaseException) -> tuple[Problem, ...]:
    match error:
        case typer.Abort() | KeyboardInterrupt():
            return (Problem("OL600", "interrupted", hint="the same command again resumes"),)
        case TyperException():
            return _usage(error.format_message())
        case OlivelikeError():
            return error.problems
        case _:
            text = f"{type(error).__name__}: {error}"
            return (Problem("OL599", f"internal error: {text}", hint="run again with --debug for the traceback"),)


def _usage(message: str) -> tuple[Problem, ...]:
    """Returns what is wrong with the command line; nothing where the help was printed instead."""
    claim, _, guess = message.partition("Did you mean ")
    claim = claim.strip().rstrip(".")
    hint = f"did you mean {guess.strip().rstrip('?').strip(chr(39))}?" if guess else "see olivelike --help"
    return (Problem("OL115", claim, hint=hint),) if claim else ()


def _code(error: BaseException) -> int:
    match error:
        case typer.Abort() | KeyboardInterrupt():
            return INTERRUPTED
        case TyperException():
            return USAGE
        case OlivelikeError():
            return error.exit_code
        case _:
            return BROKEN


def _typed(flag: str, value: str = "") -> bool:
    """Whether a flag stands on the command line, `--flag value` or `--flag=value` where a value is asked for."""
    words = sys.argv[1:]
    if not value:
        return flag in words
    return f"{flag}={value}" in words or (flag, value) in pairwise(words)
