"""The contract of a named transform: what `prepare: {NAME: {...}}` makes of a data entry's columns for a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict

from olivelike.contracts.data import Columns, Pad
from olivelike.contracts.metric import TensorInfo

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

BatchMap: TypeAlias = Callable[[Mapping[str, "Array"]], Mapping[str, "Array"]]
"""Maps the columns of one batch to columns of as many samples."""


class TransformConfig(BaseModel):
    """Base of every transform's options: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a transform works.

    Attributes:
        place: the data entry, for messages.
        files: the name of each of the transform's files that exist to where it lies now.
        inputs: what the model takes.
        label: the column of the labels, or empty.
        asked: input name to column name, as the workflow says.
        most: the number of samples after which no more are looked at; 0 for all.
    """

    place: str
    files: Mapping[str, Path]
    inputs: Sequence[TensorInfo]
    label: str = ""
    asked: Mapping[str, str] = field(default_factory=dict)
    most: int = 0


@dataclass(frozen=True, slots=True)
class Transformed:
    """What a transform makes of an entry.

    Attributes:
        columns: the columns, with other samples than before where the transform cuts them anew.
        each: maps a batch of them.
        label: the column of the labels, or empty.
        pad: how columns of lists are filled up where the entry says nothing.
    """

    columns: Columns
    each: BatchMap
    label: str = ""
    pad: Mapping[str, Pad] = field(default_factory=dict)


class Transform(ABC):
    """Prepares a data entry's columns for a model. Created without arguments; keeps no state."""

    config: ClassVar[type[TransformConfig]]
    companions: ClassVar[tuple[str, ...]] = ()
    """Names of files beside the model that it uses where they exist."""
    readers: ClassVar[frozenset[str]] = frozenset()
    """The readers whose entries it prepares by default, where the model's task asks for it."""
    tools: ClassVar[tuple[str, ...]] = ()
    """Distributions that it computes with; their versions are part of the key."""
    brings_labels: ClassVar[bool] = False
    """Whether it makes labels."""
    counts_samples: ClassVar[bool] = True
    """Whether there are as many samples as rows, so that their number is known before anything is read."""

    def files(self, config: TransformConfig) -> tuple[str, ...]:
        """Returns the files that the options name, as the user wrote them."""
        del config
        return ()

    def applies(self, columns: Columns) -> bool:
        """Whether it has something to do with these columns; asked only where the model's task, and not the entry, named it."""
        del columns
        return True

    @abstractmethod
    def open(self, config: TransformConfig, columns: Columns, around: Surroundings) -> Transformed:
        """Makes ready to map columns.

        Args:
            config: the validated options.
            columns: what the reader read.
            around: where it works.

        Raises:
            InputError: OL205 (files), OL206 (columns that do not fit), OL211 (extras).
        """


class NoTransform(Transform):
    """Leaves the columns as they are."""

    config: ClassVar[type[TransformConfig]] = TransformConfig

    def open(self, config: TransformConfig, columns: Columns, around: Surroundings) -> Transformed:
        """Returns the columns."""
        del config
        return Transformed(columns, dict, around.label)
