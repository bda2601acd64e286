"""The command that looks for what a quantized model lost its quality by: `blame`."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from olivelike.cli.options import AsJson, Columns, Debug, Format, Level, Libraries, LogFormat, LogLevel


class Compared(StrEnum):
    """What a drop is a drop of."""

    AUTO = "auto"
    ACCURACY = "accuracy"
    DISTANCE = "distance"


OutputName = Annotated[
    str,
    typer.Option("--output-name", help="The output to look at; by default the first for accuracy, all for distance."),
]
ComparedBy = Annotated[
    Compared,
    typer.Option(
        "--metric",
        help="What is compared: accuracy, or the distance of the outputs to BASE's (the share of noise in their power). "
        "`auto` is accuracy where there are labels.",
    ),
]
Samples = Annotated[int, typer.Option("--samples", min=0, help="How many samples, drawn by the seed; 0 for all.")]
MaxDrop = Annotated[
    float | None,
    typer.Option("--max-drop", min=0, max=1, help="The drop that may be left; by default a tenth of what there is."),
]
Repaired = Annotated[
    Path | None, typer.Option("--output", "-o", help="Where the repaired model goes, a file ending in .onnx.")
]


def blame(
    base: Annotated[Path, typer.Argument(help="The model before it was quantized.")],
    quantized: Annotated[Path, typer.Argument(help="The model after.")],
    data: Annotated[Path, typer.Option("--data", help="Samples: .npz, .npy, .csv or a folder of images.")],
    inputs: Columns = None,
    labels: Annotated[str, typer.Option("--labels", help="The column of the class ids.")] = "",
    output_name: OutputName = "",
    metric: ComparedBy = Compared.AUTO,
    samples: Samples = 0,
    max_drop: MaxDrop = None,
    output: Repaired = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the draw of samples.")] = 0,
    libraries: Libraries = None,
    json: AsJson = False,
    log_level: Level = LogLevel.WARNING,
    log_format: Format = LogFormat.TEXT,
    debug: Debug = False,
) -> int:
    """Find the nodes by which a quantized model lost its quality, and the cheapest repair."""
    del debug
    from olivelike.cli import render
    from olivelike.engine.blame.find import Wish, check_output, write_repair
    from olivelike.engine.blame.find import blame as find
    from olivelike.engine.data_option import DataOption, inputs_from

    render.start_logging(log_level.value, log_format.value)
    if output:
        check_output(output, base, quantized)
    wish = Wish(
        "" if metric is Compared.AUTO else metric.value, output_name, math.nan if max_drop is None else max_drop
    )
    found = find(
        base, quantized, DataOption(str(data), inputs_from(inputs or ()), labels, samples, seed), wish, libraries or ()
    )
    written = output if output and found.repairs else None
    if written:
        write_repair(found.repairs[0], written, libraries or ())
    render.blamed(found, written, as_json=json)
    return found.verdict.exit_code
