"""The command line's `--data FILE`: a data section made of the file's ending."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from olivelike.digest import Json
from olivelike.errors import InputError, fail

READERS = {".npz": "npz", ".npy": "npy", ".csv": "csv"}


def data_section(data: str, inputs: Mapping[str, str] | None = None, labels: str = "") -> dict[str, Json]:
    """Returns what a workflow's data entry for a file would be.

    Args:
        data: a file, or a folder of pictures.
        inputs: model input to column.
        labels: the label column, or empty.

    Raises:
        InputError: OL115, a file of an unknown kind.
    """
    section: dict[str, Json] = {_reader(data): str(Path(data).absolute())}
    if inputs:
        section["inputs"] = dict(inputs)
    return section | ({"labels": labels} if labels else {})


def _reader(data: str) -> str:
    if Path(data).is_dir():
        return "images"
    suffix = Path(data).suffix.lower()
    if suffix not in READERS:
        claim = f"--data {data}: unknown kind of file {suffix!r}"
        raise fail(InputError, "OL115", claim, hint=f"known: {', '.join(READERS)} and a folder of images")
    return READERS[suffix]
