"""The command that says where the time goes: `profile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from olivelike.cli.optimize import AsJson, CacheDir, Debug, Format, Level, LogFormat, LogLevel


def profile(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL [MODEL]...", help="ONNX files or folders, side by side.")
    ],
    data: Annotated[
        str,
        typer.Option("--data", help="Data whose first batch is fed: .npz, .npy, .csv or a folder; random by default."),
    ] = "",
    batch: Annotated[int, typer.Option("--batch", min=1, help="Samples in one run.")] = 1,
    dims: Annotated[
        list[str] | None,
        typer.Option("--dim", metavar="NAME=SIZE", help="Size of a dynamic dimension; may be repeated."),
    ] = None,
    runs: Annotated[int, typer.Option("--runs", min=10, max=1000, help="Runs that count.")] = 50,
    threads: Annotated[
        int, typer.Option("--threads", min=0, help="Threads a session may use; 0 leaves it to the runtime.")
    ] = 0,
    providers: Annotated[
        list[str] | None, typer.Option("--provider", help="Execution provider; may be repeated, cpu by default.")
    ] = None,
    json: AsJson = False,
    cache_dir: CacheDir = "",
    log_level: Level = LogLevel.WARNING,
    log_format: Format = LogFormat.TEXT,
    debug: Debug = False,
) -> int:
    """Say where the time goes: what each operator and node takes, one model or several side by side."""
    del debug
    from olivelike.cli import render
    from olivelike.engine.profile_models import Asked, profile_models
    from olivelike.engine.session import Settings

    asked = Asked(data, batch, _sizes(dims or ()), runs, threads, providers or ("cpu",))
    render.start_logging(log_level.value, log_format.value)
    with render.progress(log_format.value) as listener:
        found = profile_models(models, asked, Settings(cache_dir), listener)
    render.profiled(found, as_json=json)
    return 0


def _sizes(written: list[str] | tuple[str, ...]) -> dict[str, int]:
    sizes = {}
    for text in written:
        name, _, size = text.partition("=")
        if not (name and size.isdecimal() and int(size)):
            raise typer.BadParameter(f"--dim {text}: expected NAME=SIZE, as in --dim length=128")
        sizes[name] = int(size)
    return sizes
