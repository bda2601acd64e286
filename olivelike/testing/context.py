"""What the engine offers a pass, in memory: arrays as data, a folder as scratch, the runtime on the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import Batch, Dataset
from olivelike.contracts.target import Target
from olivelike.errors import InputError, fail, nearest
from olivelike.onnxfile.read import signature

if TYPE_CHECKING:
    from olivelike.contracts.data import Array


class ArrayDataset(Dataset):
    """A data entry of arrays: column to `[samples, ...]`."""

    def __init__(self, columns: Mapping[str, Array], labels: Array | tuple[()] = ()) -> None:
        """Takes columns of equal length, and labels of the same length or none."""
        self._columns = columns
        self._labels = labels

    @property
    def count(self) -> int:
        """The number of samples."""
        sizes = [len(column) for column in self._columns.values() if column.ndim]
        return min(sizes, default=int(bool(self._columns)))  # a value of no axes is the same for every sample

    @property
    def has_labels(self) -> bool:
        """Whether batches carry labels."""
        return len(self._labels) > 0

    def batches(self, size: int, most: int = 0) -> Iterator[Batch]:
        """Yields batches of `size` samples (the last may be smaller), at most `most` samples in all (0: all)."""
        import numpy as np

        labels = np.asarray(self._labels)
        end = min(self.count, most or self.count)
        for start in range(0, end, size):
            stop = min(start + size, end)
            feeds = {name: column[start:stop] if column.ndim else column for name, column in self._columns.items()}
            yield Batch(feeds, labels[start:stop] if self.has_labels else labels[:0], stop - start)


@dataclass(frozen=True)
class MemoryContext:
    """A `PassContext` without an engine.

    Attributes:
        scratch: an empty folder.
        arrays: data entry to its columns.
        needed: auxiliary name to its artifact.
        target: the target.
        seed: the seed.
    """

    scratch: Path
    arrays: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    needed: Mapping[str, Artifact] = field(default_factory=dict)
    target: Target = field(default_factory=Target)
    seed: int = 0

    def data(self, name: str, model: Path) -> Dataset:
        """Opens a data entry, cast to the inputs of `model`.

        Raises:
            InputError: OL108, there is no such entry; OL206, a column that the model takes is missing.
        """
        if name not in self.arrays:
            raise fail(InputError, "OL108", f"there is no data entry {name!r}", hint=nearest(name, self.arrays))
        columns = self.arrays[name]
        inputs = signature(model).inputs
        missing = [value.name for value in inputs if value.name not in columns]
        if missing:
            raise fail(InputError, "OL206", f"the data entry {name!r} has no column {missing[0]!r}")
        return ArrayDataset({value.name: columns[value.name].astype(_numpy_name(value.dtype)) for value in inputs})

    def run(self, model: Path, feeds: Mapping[str, Array], outputs: Sequence[str] = ()) -> dict[str, Array]:
        """Runs a model once on the CPU and returns its outputs by name (all, or those asked for)."""
        return run_model(model, feeds, outputs)

    def progress(self, done: float, text: str = "") -> None:
        """Does nothing."""


def run_model(model: Path, feeds: Mapping[str, Array], outputs: Sequence[str] = ()) -> dict[str, Array]:
    """Runs a model once on the CPU with one thread and returns its outputs by name (all, or those asked for)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = list(outputs) or [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def _numpy_name(dtype: str) -> str:
    return "object" if dtype == "string" else dtype
