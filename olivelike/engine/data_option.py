"""Data named on the command line: a file or folder, which column feeds which input, the labels; opened without a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from olivelike.contracts.data import Dataset, DataSpec
from olivelike.contracts.metric import TensorInfo
from olivelike.errors import InputError, fail
from olivelike.registry import installed
from olivelike.sources.data_files import data_files
from olivelike.sources.dataset import open_dataset

if TYPE_CHECKING:
    from olivelike.digest import Json

PLACE = "--data"
READERS = {".npz": "npz", ".npy": "npy", ".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet"}


@dataclass(frozen=True, slots=True)
class DataOption:
    """What the options say about data.

    Attributes:
        path: `.npz`, `.npy`, `.csv` or a folder of images; empty for no data.
        inputs: model input to column; empty where they are called the same.
        labels: the column of the labels, or empty.
        samples: so many, drawn by the seed; 0 for all.
        seed: of the draw.
    """

    path: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    labels: str = ""
    samples: int = 0
    seed: int = 0

    def section(self) -> dict[str, Json]:
        """Returns what a workflow's data entry for this would be.

        Raises:
            InputError: OL115, an unknown kind of file, or columns of no file.
        """
        if not self.path:
            claim = "--input and --labels say how to read data, but there is none"
            raise fail(InputError, "OL115", claim, hint="add --data FILE")
        section: dict[str, Json] = {reader_of(self.path): str(Path(self.path).absolute())}
        if self.inputs:
            section["inputs"] = dict(self.inputs)
        return section | ({"labels": self.labels} if self.labels else {})

    def open(self, inputs: Sequence[TensorInfo]) -> Dataset:
        """Opens the data for a model's inputs.

        Raises:
            InputError: OL115, an unknown kind of file; otherwise as `sources.dataset.open_dataset`.
        """
        name = reader_of(self.path)
        reader = installed().reader_named(name)()
        config: dict[str, Json] = {name: str(Path(self.path).absolute())}
        try:
            files = data_files(reader, reader.config.model_validate(config), Path())
        except ValidationError as error:
            claim = f"{self.path} needs settings that no option gives: {error.errors()[0]['msg']}"
            raise fail(
                InputError, "OL115", claim, hint="use a workflow, or save the prepared arrays as .npz"
            ) from error
        del files  # they were looked for; the reader is given their own paths
        spec = DataSpec(
            PLACE,
            name,
            config,
            inputs=self.inputs,
            labels=self.labels,
            samples=self.samples,
            shuffle=bool(self.samples),
            seed=self.seed,
        )
        return open_dataset(spec, reader, Path(), inputs)


def inputs_from(texts: Sequence[str]) -> dict[str, str]:
    """Reads `NAME=COLUMN` texts.

    Raises:
        InputError: OL115, one without `=`, or an input that is named twice.

    Example:
        >>> inputs_from(["image=images"])
        {'image': 'images'}
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, column = text.partition("=")
        if not (equals and name and column):
            claim = f"--input {text}: expected NAME=COLUMN"
            raise fail(InputError, "OL115", claim, hint="for example --input x=features")
        if name in found:
            raise fail(InputError, "OL115", f"--input names {name} twice", hint="name each input once")
        found[name] = column
    return found


def reader_of(data: str) -> str:
    """Returns the name of the reader for a data file, by its ending; a folder is one of images.

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
