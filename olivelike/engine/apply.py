"""Applying one pass to one model: a workflow of one step, made in code."""

from __future__ import annotations

from collections.abc import Sequence
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
from olivelike.errors import InputError, fail
from olivelike.registry import installed

READERS = {".npz": "npz", ".npy": "npy", ".csv": "csv"}
DATA = "data"


def apply_pass(
    name: str,
    model: Path,
    output: Path,
    parameters: Sequence[str],
    data: str,
    settings: Settings,
    listener: Listener = ignore,
) -> Report:
    """Applies one pass to one model.

    Args:
        name: the pass.
        model: a model file or folder.
        output: a folder for a bundle, or a file ending in `.onnx` (its external data lies beside it).
        parameters: `KEY=VALUE` texts, the pass's parameters.
        data: a data file for a pass that reads data, or empty.
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
    if data:
        config |= _data_parameter(installed().pass_named(name).config, name)
        workflow["data"] = {DATA: {reader_of(data): str(Path(data).absolute())}}
    overrides = [f"passes.{name}.{parameter}" for parameter in parameters]
    if output.suffix != ".onnx":
        opened = open_workflow({**workflow, "output": {"path": str(output.absolute())}}, overrides)
        return run_workflow(opened, settings, listener)[0]
    with TemporaryDirectory(prefix="olivelike-") as room:
        bundle = Path(room, "bundle")
        opened = open_workflow({**workflow, "output": {"path": str(bundle)}}, overrides)
        report = run_workflow(opened, settings, listener)[0]
        return put_file_in_place(report, bundle, output) if not report.status.exit_code else report


def _data_parameter(config: type[PassConfig], name: str) -> dict[str, Json]:
    for field, info in config.model_fields.items():
        if any(isinstance(mark, RefersTo) for mark in info.metadata):
            return {field: DATA}
    raise fail(InputError, "OL115", f"the pass {name} reads no data", hint="leave --data out")


def reader_of(data: str) -> str:
    """Returns the name of the reader for a file or folder on the command line.

    Raises:
        InputError: OL115, an unknown kind of file.
    """
    if Path(data).is_dir():
        return "images"
    suffix = Path(data).suffix.lower()
    if suffix not in READERS:
        claim = f"--data {data}: unknown kind of file {suffix!r}"
        raise fail(InputError, "OL115", claim, hint=f"known: {', '.join(READERS)} and a folder of images")
    return READERS[suffix]
