"""Applying one pass to one model: a workflow of one step, made in code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from olivelike.bundle.single_file import put_file, require_free
from olivelike.contracts.artifact import PARTS_KIND, Artifact
from olivelike.contracts.data import RefersTo
from olivelike.contracts.passes import PassConfig
from olivelike.contracts.report import Report
from olivelike.digest import Json, files_below
from olivelike.engine.applied import Applied, Change, change
from olivelike.engine.check import check_inputs
from olivelike.engine.data_option import DataOption
from olivelike.engine.events import Listener, ignore
from olivelike.engine.libraries import OPTION, model_section
from olivelike.engine.opened import open_workflow
from olivelike.engine.run import run
from olivelike.engine.session import Settings, delivered, desk_for
from olivelike.errors import InputError, OlivelikeError, Problem, fail
from olivelike.onnxfile.external import model_files
from olivelike.registry import installed
from olivelike.sources.operator_libraries import PLACE

DATA = "data"
INPUTS = re.compile(r"add `inputs: \{(.+?): (.+?)\}`")
"""The hint of a source that finds no column for an input."""


def apply_pass(
    name: str,
    model: Path,
    output: Path,
    parameters: Sequence[str],
    data: DataOption,
    settings: Settings,
    listener: Listener = ignore,
    *,
    force: bool = False,
    libraries: Sequence[str] = (),
) -> Applied:
    """Applies one pass to one model.

    Args:
        name: the pass.
        model: a model file or folder.
        output: a folder for a bundle, or a file ending in `.onnx` (its external data lie beside it, named after it).
        parameters: `KEY=VALUE` texts, the pass's parameters.
        data: what a pass that reads data reads.
        settings: the machine's side.
        listener: told of everything that happens.
        force: replace an output file that is there; the input is never replaced.
        libraries: of custom operators that the model needs: files, or `onnxruntime-extensions`.

    Raises:
        InputError: everything that is wrong with the input; OL116, the output exists.
    """
    config: dict[str, Json] = {}
    workflow: dict[str, Json] = {
        "name": name,
        "model": model_section(model, libraries),
        "passes": [{name: config, "verify": "full"}],
    }
    if data.path or data.inputs or data.labels:
        config |= _data_parameter(installed().pass_named(name).config, name)
        workflow["data"] = {DATA: data.section()}
    overrides = [f"passes.{name}.{parameter}" for parameter in parameters]
    try:
        _check_output(name, model, output, partial(_check, workflow, overrides), force=force)
        runs = partial(_run, workflow, overrides, settings, listener)
        done, report = (
            _as_file(runs, model, output, force=force) if output.suffix == ".onnx" else _as_bundle(runs, output)
        )
        return Applied(report, done.change, name, str(model))
    except InputError as error:
        raise InputError(*(_in_flags(problem, name) for problem in error.problems)) from error


@dataclass(frozen=True, slots=True)
class Done:
    """A run of one step: its report, what was made, and how that differs from what it was made of."""

    report: Report
    made: Artifact | None
    change: Change | None


Run: TypeAlias = "Callable[[str], Done]"
"""Runs the workflow of one step with an output path, or with none."""


def _run(
    workflow: Mapping[str, Json], overrides: Sequence[str], settings: Settings, listener: Listener, output: str
) -> Done:
    written = {**workflow, "output": {"path": output}} if output else workflow
    with desk_for(open_workflow(written, overrides), settings, listener) as (desk, prepared):
        report = delivered(desk, run(desk, prepared.source), prepared, settings)
        if not report.chosen:
            return Done(report, None, None)
        made = desk.store.open(report.chosen[0].digest)
        return Done(report, made, change(prepared.source, made))


def _check(workflow: Mapping[str, Json], overrides: Sequence[str]) -> None:
    check_inputs(open_workflow(workflow, overrides).plan)


def _check_output(name: str, model: Path, output: Path, check: Callable[[], None], *, force: bool) -> None:
    """Checks that the output can be written; where it cannot, everything else that is wrong is said with it.

    Raises:
        InputError: OL107, there is no such pass; OL115, another kind of output is asked for; OL116, something lies there; what
            `check` raises beside it.
    """
    makes_parts = installed().pass_named(name).produces == PARTS_KIND
    try:
        _require_output(name, model, output, makes_parts=makes_parts, force=force)
    except InputError as error:
        try:
            check()
        except InputError as other:
            raise InputError(*error.problems, *other.problems) from error
        raise


def _require_output(name: str, model: Path, output: Path, *, makes_parts: bool, force: bool) -> None:
    if output.suffix == ".onnx":
        if makes_parts:
            claim = f"{name} makes a model in several files, and {output} is one"
            raise fail(InputError, "OL115", claim, hint="name a folder")
        require_free(output, _input_files(model), force=force)
    elif force:
        raise fail(InputError, "OL115", "--force replaces a file, and a bundle is a folder", hint="leave it out")


def _as_bundle(runs: Run, output: Path) -> tuple[Done, Report]:
    done = runs(str(output.absolute()))
    return done, done.report


def _as_file(runs: Run, model: Path, output: Path, *, force: bool) -> tuple[Done, Report]:
    inputs = _input_files(model)
    done = runs("")
    if done.made is None or done.report.status.exit_code:
        return done, done.report
    files = put_file(done.made.model, output, inputs, force=force)
    return done, _named(done.report, done.made, output, files)


def _input_files(model: Path) -> list[Path]:
    if model.is_dir():
        return [model / name for name in files_below(model)]
    try:
        return [model.parent / name for name in model_files(model)]
    except OlivelikeError:  # said with everything else that is wrong with the model
        return [model]


def _named(report: Report, made: Artifact, file: Path, files: tuple[str, ...]) -> Report:
    """Returns the report with the file that was written in it, and what a single file leaves behind."""
    [choice] = report.chosen
    left = [*made.manifest.companions, *made.manifest.custom_operators]
    notes = [f"left out beside the file: {', '.join(left)}; name a folder to get them"] if left else []
    placed = replace(choice, path=str(file.absolute()), files=files)
    return replace(report, chosen=(placed,), notes=(*report.notes, *notes))


def _in_flags(problem: Problem, name: str) -> Problem:
    """Returns a problem in the terms of the command line: there is no file that a key could be added to."""
    if problem.path == PLACE:
        return replace(problem, path=OPTION)
    path = problem.path.removeprefix(f"passes.0.{name}").removeprefix(".")
    if problem.code == "OL111" and path == DATA:
        return replace(problem, claim=f"{name} needs data", path="", hint="add --data FILE")
    if problem.path.partition(".")[0] == DATA:
        hint = INPUTS.sub(r"add --input \1=\2", problem.hint)
        return replace(problem, path="--data", hint=hint)
    return replace(problem, path=path) if path != problem.path else problem


def _data_parameter(config: type[PassConfig], name: str) -> dict[str, Json]:
    for field, info in config.model_fields.items():
        if any(isinstance(mark, RefersTo) for mark in info.metadata):
            return {field: DATA}
    raise fail(InputError, "OL115", f"the pass {name} reads no data", hint="leave --data out")
