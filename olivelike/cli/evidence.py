"""The commands that show evidence: `bench`, `certify`, `selftest`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from olivelike.cli.options import (
    AsJson,
    Batch,
    CacheDir,
    Columns,
    DataFile,
    Debug,
    Dims,
    Format,
    Labels,
    Level,
    Libraries,
    LogFormat,
    LogLevel,
    Providers,
    Threads,
    sizes,
)


def bench(
    models: Annotated[list[Path], typer.Argument(help="The model, and those to compare with it.", show_default=False)],
    data: DataFile = "",
    inputs: Columns = None,
    batch: Batch = 1,
    dims: Dims = None,
    threads: Threads = 0,
    provider: Providers = None,
    value: Annotated[list[str] | None, typer.Option("--value", help="What to report: p50, mean, p99, ...")] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0, help="How long to time each model at most.")] = 10.0,
    pin: Annotated[list[int] | None, typer.Option("--pin", help="Processors to bind the runs to (Linux).")] = None,
    libraries: Libraries = None,
    json: AsJson = False,
    log_level: Level = LogLevel.WARNING,
    log_format: Format = LogFormat.TEXT,
    debug: Debug = False,
) -> int:
    """Compare models' speed: all in turns with the first, each until it is decided or the time is up."""
    del debug
    from olivelike.cli import render
    from olivelike.engine.bench import Options
    from olivelike.engine.bench import bench as compare
    from olivelike.engine.data_option import DataOption, inputs_from

    render.start_logging(log_level.value, log_format.value)
    options = Options(
        data=DataOption(data, inputs_from(inputs or ())),
        batch=batch,
        dims=sizes(dims or ()),
        threads=threads,
        providers=tuple(provider or ("cpu",)),
        values=tuple(value or ("p50", "p90")),
        seconds=seconds,
        pin=tuple(pin or ()),
        libraries=tuple(libraries or ()),
    )
    render.benched(compare(models, options), as_json=json)
    return 0


def certify(
    bundle: Annotated[Path, typer.Argument(help="A bundle that `run` wrote.", show_default=False)],
    data: Annotated[str, typer.Option("--data", help="Samples that the search did not see.", show_default=False)],
    inputs: Columns = None,
    labels: Labels = "",
    alpha: Annotated[
        float, typer.Option("--alpha", help="The chance, at most, of a wrong verdict on a constraint.")
    ] = 0.05,
    workflow: Annotated[
        Path | None, typer.Option("--workflow", help="The workflow file, where the bundle was moved away from it.")
    ] = None,
    json: AsJson = False,
    cache_dir: CacheDir = "",
    log_level: Level = LogLevel.WARNING,
    log_format: Format = LogFormat.TEXT,
    debug: Debug = False,
) -> int:
    """Say for each constraint of a bundle whether it holds on new data: accept (0), reject (3) or undecided (4)."""
    del debug
    from olivelike.cli import render
    from olivelike.engine.certify_bundle import EXIT_CODES, certify_bundle
    from olivelike.engine.data_option import DataOption, inputs_from
    from olivelike.engine.session import Settings

    render.start_logging(log_level.value, log_format.value)
    fresh = DataOption(data, inputs_from(inputs or ()), labels)
    with render.progress(log_format.value) as listener:
        found = certify_bundle(bundle, fresh, alpha, workflow, Settings(cache_dir), listener)
    render.certified(found, as_json=json)
    return EXIT_CODES[found.verdict]
