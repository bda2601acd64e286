"""Data named on the command line: a file or folder, which column feeds which input, the labels; opened without a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from olivelike.contracts.data import Dataset, DataSpec
from olivelike.contracts.metric import TensorInfo
from olivelike.engine.apply import reader_of
from olivelike.errors import InputError, fail
from olivelike.registry import installed
from olivelike.sources.data_files import data_files
from olivelike.sources.dataset import open_dataset

if TYPE_CHECKING:
    from olivelike.digest import Json

PLACE = "--data"


@dataclass(frozen=True, slots=True)
class DataOption:
    """What the options say about data.

    Attributes:
        path: `.npz`, `.npy`, `.csv` or a folder of images.
        inputs: model input to column; empty where they are called the same.
        labels: the column of the labels, or empty.
        samples: so many, drawn by the seed; 0 for all.
        seed: of the draw.
    """

    path: Path
    inputs: Mapping[str, str] = field(default_factory=dict)
    labels: str = ""
    samples: int = 0
    seed: int = 0

    def open(self, inputs: Sequence[TensorInfo]) -> Dataset:
        """Opens the data for a model's inputs.

        Raises:
            InputError: OL115, an unknown kind of file; otherwise as `sources.dataset.open_dataset`.
        """
        name = reader_of(str(self.path))
        reader = installed().reader_named(name)()
        config: dict[str, Json] = {name: str(self.path.absolute())}
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
    """Reads `INPUT=COLUMN` texts.

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
            claim = f"--input {text}: not of the form INPUT=COLUMN"
            raise fail(InputError, "OL115", claim, hint="as in --input image=images")
        if name in found:
            raise fail(InputError, "OL115", f"--input names {name} twice", hint="name each input once")
        found[name] = column
    return found
