"""The command line: its commands, and how every error becomes a line and an exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from olivelike import __version__
from olivelike.cli import blame, cache, catalog, check, optimize
from olivelike.cli.render import say

app = typer.Typer(
    name="olivelike",
    help="Optimize machine-learning models by workflow: chain passes, measure candidates, ship the best that holds.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(optimize.run)
app.command("validate")(check.validate)
app.command("plan")(check.plan)
app.command("explain")(check.explain)
app.command("apply")(optimize.apply)
app.command("blame")(blame.blame)
app.command("passes")(catalog.passes)
app.command("metrics")(catalog.metrics)
app.command("schema")(catalog.schema)
app.add_typer(cache.app, name="cache")


def _version(wanted: bool) -> None:
    if wanted:
        say(f"olivelike {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Holds the options that stand before any command."""
    del version


def main() -> None:
    """Runs the command line and exits: 0 found, 2 wrong input, 3 infeasible, 4 undecided, 5 broke, 130 interrupted."""
    from olivelike.cli.failures import exit_code_of

    try:
        result = app(standalone_mode=False)
    except Exception as error:  # noqa: BLE001  # the outermost boundary: one line and a code, a traceback only on request
        sys.exit(exit_code_of(error))
    except KeyboardInterrupt as error:
        sys.exit(exit_code_of(error))
    sys.exit(result if isinstance(result, int) else 0)
