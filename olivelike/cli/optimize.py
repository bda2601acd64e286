"""The commands that make models: `run` and `apply`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from olivelike.cli.options import (
    DEFAULT_LEVEL,
    AsJson,
    CacheDir,
    Debug,
    Format,
    Level,
    Libraries,
    LogFormat,
    LogLevel,
    Overrides,
    WorkflowLevel,
)


def run(
    workflow: Annotated[
        Path | None, typer.Argument(help="The workflow file (YAML or JSON).", show_default=False)
    ] = None,
    overrides: Overrides = None,
    json: AsJson = False,
    cache_dir: CacheDir = "",
    ship_closest: Annotated[
        bool, typer.Option("--ship-closest", help="Write the closest candidate even where it breaks a constraint.")
    ] = False,
    locked: Annotated[
        Path | None, typer.Option("--locked", help="Rebuild what a lock file describes and say what differs.")
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", help="Where the bundle goes, instead of the workflow's output.path.")
    ] = "",
    log_level: WorkflowLevel = None,
    log_format: Format = LogFormat.TEXT,
    debug: Debug = False,
) -> int:
    """Run a workflow: make and measure candidates, write the best that holds every constraint."""
    from olivelike.cli import render
    from olivelike.engine.session import Settings, run_workflow

    render.start_logging(log_level.value if log_level else DEFAULT_LEVEL, log_format.value)
    if locked is not None:
        _refuse_with_locked(workflow, overrides or (), ship_closest)
        return _rebuild(locked, workflow, output, cache_dir, json, log_format)
    if workflow is None:
        raise typer.BadParameter("name a workflow file, or --locked LOCK")
    from olivelike.engine.opened import open_workflow

    opened = open_workflow(workflow, [*(overrides or ()), *_output_override(output)])
    if opened.plan.run.log and log_level is None:
        render.start_logging(opened.plan.run.log, log_format.value)
    with render.progress(log_format.value) as listener:
        report, _, _ = run_workflow(opened, Settings(cache_dir, ship_closest), listener)
    render.answer(report, as_json=json, with_logs=debug)
    return report.status.exit_code


def _output_override(output: str) -> list[str]:
    """Returns the override that a path on the command line amounts to; it starts in the current folder."""
    import json

    return [f"output.path={json.dumps(str(Path(output).absolute()))}"] if output else []


def _refuse_with_locked(workflow: Path | None, overrides: Sequence[str], ship_closest: bool) -> None:
    from olivelike.errors import InputError, fail

    foreign = [*overrides, *(["--ship-closest"] if ship_closest else [])]
    if workflow is not None and not workflow.is_file():
        foreign.insert(0, str(workflow))
    if foreign:
        claim = f"{foreign[0]} does not apply with --locked: the lock says what is made"
        raise fail(InputError, "OL115", claim, hint="name the lock, and the workflow's file if the bundle was moved")


def _rebuild(
    locked: Path, workflow: Path | None, output: str, cache_dir: str, as_json: bool, log_format: LogFormat
) -> int:
    from olivelike.cli import render
    from olivelike.engine.rebuild import rebuild
    from olivelike.engine.session import Settings

    folder = workflow.parent if workflow else None
    with render.progress(log_format.value) as listener:
        result = rebuild(locked, folder, output, Settings(cache_dir), listener)
    render.rebuilt(result, as_json=as_json)
    return result.report.status.exit_code


def apply(
    name: Annotated[str, typer.Argument(metavar="PASS", help="The pass, as `olivelike passes` lists it.")],
    model: Annotated[Path, typer.Argument(help="The model file or folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write, or a file ending in .onnx.")],
    parameters: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="The pass's parameters.")
    ] = None,
    data: Annotated[
        str, typer.Option("--data", help="Data for a pass that calibrates: .npz, .npy, .csv or a folder.")
    ] = "",
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input", metavar="NAME=COLUMN", help="Which column of the data feeds which input; may be repeated."
        ),
    ] = None,
    labels: Annotated[str, typer.Option("--labels", help="The column of the data that holds labels.")] = "",
    libraries: Libraries = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an output file that exists; never the input.")
    ] = False,
    json: AsJson = False,
    cache_dir: CacheDir = "",
    log_level: Level = LogLevel.WARNING,
    log_format: Format = LogFormat.TEXT,
    debug: Debug = False,
) -> int:
    """Apply one pass to one model, without a workflow file."""
    from olivelike.cli import render
    from olivelike.engine.apply import apply_pass
    from olivelike.engine.data_option import DataOption, inputs_from
    from olivelike.engine.session import Settings

    render.start_logging(log_level.value, log_format.value)
    with render.progress(log_format.value, trials=False) as listener:
        file = DataOption(data, inputs_from(inputs or ()), labels)
        given = parameters or (), file, Settings(cache_dir), listener
        found = apply_pass(name, model, output, *given, force=force, libraries=libraries or ())
    render.applied(found, as_json=json, as_events=log_format is LogFormat.JSON, with_logs=debug)
    return found.report.status.exit_code
