"""The commands that look into models: `inspect`, `diff`, `view`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from olivelike.cli.options import (
    AsJson,
    Batch,
    Columns,
    DataFile,
    Debug,
    Dims,
    Format,
    Level,
    Libraries,
    LogFormat,
    LogLevel,
    sizes,
)

Looked = Annotated[Path, typer.Argument(metavar="MODEL", help="An ONNX file, or a folder with one.")]
StructureOnly = Annotated[
    bool, typer.Option("--structure-only", help="Compare structure and weights; run neither model.")
]
NoLayers = Annotated[bool, typer.Option("--no-layers", help="Compare outputs, and no values inside the models.")]
Samples = Annotated[int, typer.Option("--samples", min=1, help="Samples of the data, at most.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of random values, which are fed where there are no data.")]


def inspect(
    model: Looked,
    target: Annotated[
        str, typer.Option("--target", help="The execution provider that should run it; it need not be installed.")
    ] = "cpu",
    libraries: Libraries = None,
    json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Say what is in a model and what could be done with it: operators, weights, quantization, passes. Loads no weights."""
    del debug
    from olivelike.cli import render
    from olivelike.engine.inspect.inspect import inspect as look_into

    render.inspected(look_into(model, target, libraries or ()), as_json=json)
    return 0


def diff(
    first: Annotated[Path, typer.Argument(metavar="A", help="An ONNX file, or a folder with one.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="The model that is held against it.")],
    data: DataFile = "",
    inputs: Columns = None,
    samples: Samples = 64,
    batch: Batch = 1,
    dims: Dims = None,
    seed: Seed = 0,
    structure_only: StructureOnly = False,
    no_layers: NoLayers = False,
    libraries: Libraries = None,
    json: AsJson = False,
    log_level: Level = LogLevel.WARNING,
    log_format: Format = LogFormat.TEXT,
    debug: Debug = False,
) -> int:
    """Say what differs between two models: structure, weights, outputs, and the values inside that have the same name."""
    del debug
    from olivelike.cli import render
    from olivelike.engine.data_option import DataOption, inputs_from
    from olivelike.engine.difference.diff import diff as compare
    from olivelike.engine.difference.feeding import Asked

    render.start_logging(log_level.value, log_format.value)
    asked = Asked(DataOption(data, inputs_from(inputs or ())), batch, sizes(dims or ()), samples, seed)
    found = compare(first, second, asked, run=not structure_only, layers=not no_layers, libraries=libraries or ())
    render.differing(found, as_json=json)
    return 0


def view(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL [MODEL]", help="One model, or two side by side.")],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Where to serve; 0 for any that is free.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, and open no browser.")] = False,
    log_level: Level = LogLevel.WARNING,
    log_format: Format = LogFormat.TEXT,
    debug: Debug = False,
) -> int:
    """Show models in the browser with Netron, served on this machine alone and with no analytics, until Ctrl-C."""
    del debug
    import webbrowser
    from contextlib import suppress

    from olivelike.cli import render
    from olivelike.engine.view.server import viewing

    render.start_logging(log_level.value, log_format.value)
    with suppress(KeyboardInterrupt), viewing(models, port) as viewer:  # Ctrl-C is how it ends
        render.shown(viewer)
        if not no_browser:
            webbrowser.open(viewer.url)
        viewer.wait()
    return 0
