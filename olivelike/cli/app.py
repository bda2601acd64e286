"""The command line: its commands, and how every error becomes a line and an exit code."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Annotated

import typer
from typer.core import TyperGroup

from olivelike import __version__
from olivelike.cli import blame, cache, catalog, check, evidence, look, optimize, profile, selftest
from olivelike.cli.render import say


class _Commands(TyperGroup):
    """Hands an interruption on: Typer would end with its exit code and say nothing."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        """Runs a command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise typer.Abort from error


app = typer.Typer(
    name="olivelike",
    cls=_Commands,
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
app.command("bench")(evidence.bench)
app.command("certify")(evidence.certify)
app.command("profile")(profile.profile)
app.command("blame")(blame.blame)
app.command("inspect")(look.inspect)
app.command("diff")(look.diff)
app.command("view")(look.view)
app.command("passes")(catalog.passes)
app.command("metrics")(catalog.metrics)
app.command("schema")(catalog.schema)
app.add_typer(selftest.app, name="selftest")
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

    _stop_like_ctrl_c()
    try:
        result = app(standalone_mode=False)
    except Exception as error:  # noqa: BLE001  # the outermost boundary: one line and a code, a traceback only on request
        sys.exit(exit_code_of(error))
    except KeyboardInterrupt as error:
        sys.exit(exit_code_of(error))
    sys.exit(result if isinstance(result, int) else 0)


def _stop_like_ctrl_c() -> None:
    """Makes SIGTERM, which schedulers and containers send, end a run as Ctrl-C does: workers are ended, the report is written."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
