"""The commands that look into models: `inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from olivelike.cli.options import AsJson, Debug

Looked = Annotated[Path, typer.Argument(metavar="MODEL", help="An ONNX file, or a folder with one.")]


def inspect(
    model: Looked,
    target: Annotated[
        str, typer.Option("--target", help="The execution provider that should run it; it need not be installed.")
    ] = "cpu",
    json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Say what is in a model and what could be done with it: operators, weights, quantization, passes. Loads no weights."""
    del debug
    from olivelike.cli import render
    from olivelike.engine.inspect.inspect import inspect as look_into

    render.inspected(look_into(model, target), as_json=json)
    return 0
