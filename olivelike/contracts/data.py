"""Data: where samples come from, how a batch of them looks, and the marker by which a config names a data entry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, TypeAlias, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue, Strict

from olivelike.digest import Json, JsonObject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.generic]


class RefersTo:
    """Marks a config field whose value is the name of an entry of the workflow's `data:` section."""

    def __init__(self, section: str) -> None:
        self.section = section


DataName = Annotated[str, RefersTo("data")]


class ScriptCall(BaseModel):
    """User's Python, one shape everywhere: a file, the name of a callable in it, and its arguments."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    script: str
    call: str
    args: dict[str, JsonValue] = {}


EVERY_COLUMN = "*"
"""Stands for every ragged column in `DataSpec.pad`."""

Length = Annotated[int, Strict(), Field(gt=0)]


class Pad(BaseModel):
    """How the lists of a column, which differ in length, become one array."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    to: Literal["longest"] | Length = "longest"
    """The length of every sample, or `longest` for that of the longest in its batch."""
    multiple_of: Length = 1
    """Lengths are rounded up to a multiple of this number."""
    value: Annotated[int, Strict()] | float = 0
    """What is filled in."""
    side: Literal["right", "left"] = "right"
    """Where it is filled in, and where a list is cut that is too long."""
    truncate: Annotated[bool, Strict()] = False
    """Whether lists longer than `to` are cut; otherwise they are refused."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as a model takes it.

    Attributes:
        feeds: column (a model input, once `inputs` has been applied) to an array `[samples, ...]`.
        labels: an array `[samples, ...]`; of size 0 when the data have none.
        size: the number of samples.
    """

    feeds: Mapping[str, Array]
    labels: Array
    size: int


@dataclass(frozen=True, slots=True)
class DataSpec:
    """A data entry, ready for a worker: everything by name, config and content digest.

    Attributes:
        name: the entry's name in the workflow.
        reader: the registered name of the reader (`npz`, `csv`, `script`, ...).
        config: the reader's configuration; its paths are relative to the files' artifact.
        files: digest of the artifact that holds the files (kind `data` or `script`); empty for readers without files.
        inputs: model input name to column name; empty means that columns are named like inputs.
        labels: the label column; empty when there is none.
        samples: the first so many samples only; 0 means all.
        batch: samples per batch; 0 leaves it to the metric or pass.
        shuffle: draw the samples in a seeded order.
        seed: the seed of that order.
        use: what the entry may be used for: `train`, `calibration`, `selection`, `certification`; empty means anything.
        prepare: what maps columns to the model's: user's Python (`script`, `call`, `args`) or a named transform (`transform`,
            `options`, `default`), its files by digest (`files`); empty mapping for none.
        pad: column to how its lists of different length are filled up (`Pad`); `EVERY_COLUMN` for those not named.
        revision: what pins data that were fetched (hub commit), for the lock; no part of a key, as the files' digest is.
    """

    name: str
    reader: str
    config: Mapping[str, Json] = field(default_factory=dict)
    files: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    labels: str = ""
    samples: int = 0
    batch: int = 0
    shuffle: bool = False
    seed: int = 0
    use: tuple[str, ...] = ()
    prepare: Mapping[str, Json] = field(default_factory=dict)
    pad: Mapping[str, Json] = field(default_factory=dict)
    revision: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Returns the entry as it travels in tasks; the name is no part of it."""
        return {
            "reader": self.reader,
            "config": dict(self.config),
            "files": self.files,
            "inputs": dict(self.inputs),
            "labels": self.labels,
            "samples": self.samples,
            "batch": self.batch,
            "shuffle": self.shuffle,
            "seed": self.seed if self.shuffle or self.reader == "random" else 0,
            "use": list(self.use),
            "prepare": dict(self.prepare),
            "pad": dict(self.pad),
        }

    def essence(self) -> JsonObject:
        """Returns what readings depend on, for keys: neither the name nor what the entry may be used for nor where it lies."""
        content = self.to_json()
        del content["use"]
        if "script" in self.prepare:
            content["prepare"] = {**self.prepare, "script": PurePath(str(self.prepare["script"])).name}
        return content

    @classmethod
    def from_json(cls, name: str, value: JsonObject) -> DataSpec:
        """Reads what `to_json` wrote."""
        return cls(
            name=name,
            reader=str(value["reader"]),
            config=cast("dict[str, Json]", value["config"]),
            files=str(value["files"]),
            inputs=cast("dict[str, str]", value["inputs"]),
            labels=str(value["labels"]),
            samples=cast("int", value["samples"]),
            batch=cast("int", value["batch"]),
            shuffle=bool(value["shuffle"]),
            seed=cast("int", value["seed"]),
            use=tuple(cast("list[str]", value["use"])),
            prepare=cast("dict[str, Json]", value["prepare"]),
            pad=cast("dict[str, Json]", value["pad"]),
        )


class ReaderConfig(BaseModel):
    """Base of every data reader's configuration: frozen, unknown keys refused.

    The first field bears the reader's registered name and holds everything that names files: a path, or a mapping or
    list of paths.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Column(Protocol):
    """One column; axis 0 counts samples. Any array is one, and so is what reads its rows only when asked for them.

    A ragged column, whose samples differ in length, has the element type object, and its rows are arrays.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of samples, then the shape of one."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its elements."""

    def __len__(self) -> int:
        """Returns the number of samples."""

    def __getitem__(self, rows: NDArray[np.intp], /) -> Array:
        """Returns the rows of these numbers, in this order."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Named columns: what a reader hands out. Arrays may be memory-mapped."""

    arrays: Mapping[str, Column]

    @property
    def count(self) -> int:
        """The number of samples."""
        return min((len(column) for column in self.arrays.values()), default=0)


@dataclass(frozen=True, slots=True)
class FetchedData:
    """Data that a reader fetched.

    Attributes:
        files: name in the store to where the file lies now; the names start with what `data_files.stored_config` makes of
            the reader's value.
        revision: what pins them, for the lock.
    """

    files: Mapping[str, Path]
    revision: Mapping[str, Json]


class DataReader(ABC):
    """Reads one kind of data file. One instance per use; no state between calls."""

    config: ClassVar[type[BaseModel]]
    reads_files: ClassVar[bool] = True
    chooses_files: ClassVar[bool] = False
    """Whether the files to read are found by `fetch`, and are not simply those that `files` names."""
    choosing: ClassVar[frozenset[str]] = frozenset()
    """Options that only choose the files: once these are in the store, their content stands in every key instead."""
    brings_labels: ClassVar[bool] = False
    """Whether there may be a column `label` that the workflow does not name."""

    @abstractmethod
    def files(self, config: BaseModel) -> tuple[str, ...]:
        """Returns the files or folders named by the config, as the user wrote them; they are taken into the store."""

    def count(self, config: BaseModel, files: Mapping[str, Path]) -> int:
        """Returns how many samples there are, where that can be told without reading them; 0 where it cannot.

        Args:
            config: the validated configuration.
            files: as for `read`.

        Raises:
            InputError: OL205, the files cannot be read.
        """
        del config, files
        return 0

    def is_remote(self, config: BaseModel) -> bool:
        """Whether the files may have to be downloaded; asked only where `chooses_files` says so."""
        del config
        return False

    def fetch(self, config: BaseModel, folder: Path, *, offline: bool) -> FetchedData:
        """Finds the files, on this machine or another; called only where `chooses_files` says so.

        Args:
            config: the validated configuration.
            folder: where relative paths start.
            offline: only what is on this machine already may be used.

        Raises:
            InputError: OL204, they cannot be fetched; OL205, there are none.
        """
        raise NotImplementedError

    @abstractmethod
    def read(self, config: BaseModel, files: Mapping[str, Path], call: Callable[..., object]) -> Columns:
        """Reads all columns.

        Args:
            config: the validated configuration.
            files: what `files` returned, each name to where it lies now.
            call: calls a user's function, for readers of the kind `script`.

        Raises:
            InputError: OL205 (unreadable), OL209 (user's Python).
        """


class Dataset(ABC):
    """A data entry opened in a worker: batches with the model's input names, dtypes cast to the model's."""

    @property
    @abstractmethod
    def count(self) -> int:
        """The number of samples."""

    @property
    @abstractmethod
    def has_labels(self) -> bool:
        """Whether batches carry labels."""

    @abstractmethod
    def batches(self, size: int, most: int = 0) -> Iterator[Batch]:
        """Yields batches of `size` samples (the last may be smaller), at most `most` samples in all (0: all)."""
