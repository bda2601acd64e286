"""The options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

WorkflowFile = Annotated[Path, typer.Argument(help="The workflow file (YAML or JSON).", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...", help="Overrides, as in search.max_trials=5 or passes.static_quant.format=qdq."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as one JSON document.")]
CacheDir = Annotated[
    str, typer.Option("--cache-dir", help="Where artifacts and measurements are kept.", show_default=False)
]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks, and the logs of trials that failed.")]


class LogLevel(StrEnum):
    """How much is logged to standard error."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How progress and logs look on standard error."""

    TEXT = "text"
    JSON = "json"


Level = Annotated[LogLevel, typer.Option("--log-level", help="How much is logged to standard error.")]
WorkflowLevel = Annotated[
    LogLevel | None,
    typer.Option(
        "--log-level", help="How much is logged to standard error; by default what the workflow's run.log says."
    ),
]
DEFAULT_LEVEL = "warning"
Format = Annotated[LogFormat, typer.Option("--log-format", help="Text, or one JSON event a line.")]
DataFile = Annotated[str, typer.Option("--data", help="Data to feed: .npz, .npy, .csv or a folder of pictures.")]
Columns = Annotated[
    list[str] | None, typer.Option("--input", metavar="NAME=COLUMN", help="Which column feeds which model input.")
]
Labels = Annotated[str, typer.Option("--labels", help="The column of the labels.")]
Batch = Annotated[int, typer.Option("--batch", min=1, help="Samples in one run.")]
Dims = Annotated[
    list[str] | None,
    typer.Option("--dim", metavar="NAME=SIZE", help="Size of a dynamic dimension; may be repeated."),
]
Threads = Annotated[
    int, typer.Option("--threads", min=0, help="Threads a session may use; 0 leaves it to the runtime.")
]
Providers = Annotated[
    list[str] | None, typer.Option("--provider", help="Execution provider; may be repeated, cpu by default.")
]

Libraries = Annotated[
    list[str] | None,
    typer.Option(
        "--custom-operators",
        metavar="FILE",
        help="A library of custom operators that the model needs, or `onnxruntime-extensions`; may be repeated.",
    ),
]


def sizes(texts: Sequence[str]) -> dict[str, int]:
    """Returns `NAME=SIZE` texts as a mapping."""
    found: dict[str, int] = {}
    for text in texts:
        name, _, size = text.partition("=")
        if not name or not size.isdecimal() or int(size) < 1:
            raise typer.BadParameter(f"--dim {text}: expected NAME=SIZE, a whole number above 0")
        found[name] = int(size)
    return found
