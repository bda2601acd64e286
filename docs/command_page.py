"""The command line as sections of a page: every command with its arguments and options, read from the program itself."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import TypeAlias, cast

import typer
from schema_tables import one_line
from typer.core import TyperCommand, TyperGroup, TyperOption

from olivelike.cli.app import app

Command: TypeAlias = tuple[str, TyperCommand]

LEAD = """
Standard output carries the answer: a table, or one JSON document with `--json`. Progress, logs and problems go to standard
error, one line for each problem; `--debug` adds the traceback and the logs of failed trials.

With `--json`, standard output is exactly one document whatever happens: the answer, or `{"problems": [...]}` where there is
none (`validate` adds `"valid"`). With `--log-format json`, each problem is an event on standard error too:
`{"event": "error", "code": ..., "claim": ..., "place": ..., "path": ..., "hint": ...}`.

| exit code | meaning |
|---|---|
| 0 | a model that holds every constraint was written, or the one recipe was built |
| 2 | the workflow or the command line is wrong; nothing ran |
| 3 | the search ended and nothing holds the constraints; the report names the closest candidate |
| 4 | undecided: too noisy, or too few samples, to say so |
| 5 | it broke: no candidate could be measured, or an internal error |
| 130 | interrupted (Ctrl-C, SIGTERM); running the same command again resumes |

`olivelike --version` prints the version, `--help` after any command prints its help. `OLIVELIKE_CACHE_DIR` names the folder
of the cache where `--cache-dir` does not.
""".strip()


def sections() -> Iterator[str]:
    """Yields one section for each command, those of command groups included."""
    for name, command in commands(cast("TyperGroup", typer.main.get_command(app)), "olivelike"):
        yield _section(name, command)


def commands(group: TyperGroup, prefix: str) -> Iterator[Command]:
    """Yields every command by its full name."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", cast("TyperCommand", command)


def _section(name: str, command: TyperCommand) -> str:
    words, rows = [name], []
    for parameter in command.params:
        meaning = one_line(str(getattr(parameter, "help", "") or ""))
        if isinstance(parameter, TyperOption):
            rows.append(f"| {_names(parameter)} | {meaning}{_default(parameter)} |")
        else:
            shown = str(parameter.metavar or str(parameter.name).upper())
            words.append(shown if parameter.required or shown.startswith("[") else f"[{shown}]")
            rows.append(f"| `{shown}` | {meaning} |")
    usage = f"```text\n{' '.join(words)} [OPTIONS]\n```"
    table = "\n".join(["| argument or option | meaning |", "|---|---|", *rows])
    return f"## `{name}`\n\n{command.help}\n\n{usage}\n\n{table}"


def _names(option: TyperOption) -> str:
    choices = [str(each.value) for each in type(option.default)] if isinstance(option.default, Enum) else []
    value = "" if option.is_flag else " " + ("|".join(choices) or str(option.name).upper())
    return ", ".join(f"`{name}{value}`".replace("|", "\\|") for name in option.opts)


def _default(option: TyperOption) -> str:
    default = option.default.value if isinstance(option.default, Enum) else option.default
    return "" if default in (None, "", False) else f" Default: `{default}`."
