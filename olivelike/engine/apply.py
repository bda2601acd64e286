"""Applying one pass to one model: a workflow of one step, made in code."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from olivelike.bundle.layout import put_file_in_place
from olivelike.contracts.data import RefersTo
from olivelike.contracts.passes import PassConfig
from olivelike.contracts.report import Report
from olivelike.digest import Json
from olivelike.engine.events import Listener, ignore
from olivelike.engine.opened import open_workflow
from olivelike.engine.session import Settings, run_workflow
from olivelike.errors import InputError, Problem, fail
from olivelike.registry import installed

READERS = {".npz": "npz", ".npy": "npy", ".csv": "csv"}
DATA = "data"
INPUTS = re.compile(r"add `inputs: \{(.+?): (.+?)\}`")
"""The hint of a source that finds no column for an input."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """The data of `apply`.

    Attributes:
        path: a data file or a folder of images; empty for none.
        inputs: `NAME=COLUMN` texts: which column feeds which input.
        labels: the column of labels; empty for none.
    """

    path: str = ""
    inputs: tuple[str, ...] = ()
    labels: str = ""


def apply_pass(
    name: str,
    model: Path,
    output: Path,
    parameters: Sequence[str],
    data: DataFile,
    settings: Settings,
    listener: Listener = ignore,
) -> Report:
    """Applies one pass to one model.

    Args:
        name: the pass.
        model: a model file or folder.
        output: a folder for a bundle, or a file ending in `.onnx` (its external data lies beside it).
        parameters: `KEY=VALUE` texts, the pass's parameters.
        data: what a pass that reads data reads.
        settings: the machine's side.
        listener: told of everything that happens.

    Raises:
        InputError: everything that is wrong with the input.
    """
    config: dict[str, Json] = {}
    workflow: dict[str, Json] = {
        "name": name,
        "model": {"path": str(model.absolute())},
        "passes": [{name: config}],
    }
    if data.path or data.inputs or data.labels:
        config |= _data_parameter(installed().pass_named(name).config, name)
        workflow["data"] = {DATA: _entry(data)}
    overrides = [f"passes.{name}.{parameter}" for parameter in parameters]
    try:
        return _applied(workflow, overrides, output, settings, listener)
    except InputError as error:
        raise InputError(*(_in_flags(problem, name) for problem in error.problems)) from error


def _applied(
    workflow: Mapping[str, Json], overrides: Sequence[str], output: Path, settings: Settings, listener: Listener
) -> Report:
    if output.suffix != ".onnx":
        opened = open_workflow({**workflow, "output": {"path": str(output.absolute())}}, overrides)
        return run_workflow(opened, settings, listener)[0]
    with TemporaryDirectory(prefix="olivelike-") as room:
        bundle = Path(room, "bundle")
        opened = open_workflow({**workflow, "output": {"path": str(bundle)}}, overrides)
        report = run_workflow(opened, settings, listener)[0]
        return put_file_in_place(report, bundle, output) if not report.status.exit_code else report


def _entry(data: DataFile) -> dict[str, Json]:
    if not data.path:
        raise fail(
            InputError, "OL115", "--input and --labels say how to read data, but there is none", hint="add --data FILE"
        )
    entry: dict[str, Json] = {_reader(data.path): str(Path(data.path).absolute())}
    pairs = [text.partition("=") for text in data.inputs]
    for text, (feeds, _, column) in zip(data.inputs, pairs, strict=True):
        if not feeds or not column:
            raise fail(
                InputError, "OL115", f"--input {text}: expected NAME=COLUMN", hint="for example --input x=features"
            )
    if pairs:
        entry["inputs"] = {feeds: column for feeds, _, column in pairs}
    return {**entry, "labels": data.labels} if data.labels else entry


def _in_flags(problem: Problem, name: str) -> Problem:
    """Returns a problem in the terms of the command line: there is no file that a key could be added to."""
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


def _reader(data: str) -> str:
    if Path(data).is_dir():
        return "images"
    suffix = Path(data).suffix.lower()
    if suffix not in READERS:
        claim = f"--data {data}: unknown kind of file {suffix!r}"
        raise fail(InputError, "OL115", claim, hint=f"known: {', '.join(READERS)} and a folder of images")
    return READERS[suffix]
