"""The command that says where the time goes: `profile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from olivelike.cli.options import (
    AsJson,
    Batch,
    CacheDir,
    Debug,
    Dims,
    Format,
    Level,
    Libraries,
    LogFormat,
    LogLevel,
    Providers,
    Threads,
    sizes,
)


def profile(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL [MODEL]...", help="ONNX files or folders, side by side.")
    ],
    data: Annotated[
        str,
        typer.Option("--data", help="Data whose first batch is fed: .npz, .npy, .csv or a folder; random by default."),
    ] = "",
    batch: Batch = 1,
    dims: Dims = None,
    runs: Annotated[int, typer.Option("--runs", min=10, max=1000, help="Runs that count.")] = 50,
    threads: Threads = 0,
    providers: Providers = None,
    libraries: Libraries = None,
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

    asked = Asked(data, batch, sizes(dims or ()), runs, threads, providers or ("cpu",), libraries or ())
    render.start_logging(log_level.value, log_format.value)
    with render.progress(log_format.value) as listener:
        found = profile_models(models, asked, Settings(cache_dir), listener)
    render.profiled(found, as_json=json)
    return 0
