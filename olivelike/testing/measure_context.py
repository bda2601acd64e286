"""A measure context that needs no store and no engine: data from arrays in memory, user's functions given as such."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import MODEL, Artifact, Manifest
from olivelike.contracts.data import Batch, Dataset, ScriptCall
from olivelike.contracts.metric import Prospect, Session, TensorInfo
from olivelike.contracts.outcome import Measurement
from olivelike.contracts.target import Target
from olivelike.digest import digest_file, digest_tree, files_below
from olivelike.evaluate.sessions.random_feeds import random_feeds
from olivelike.evaluate.sessions.session import open_session

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

RANDOM_SAMPLES = 16


def artifact_at(folder: Path, manifest: Manifest | str = "model.onnx") -> Artifact:
    """Describes a folder as an artifact and returns it.

    Args:
        folder: holds the files already; `artifact.json` is written into it.
        manifest: what is in it, or the name of the model file of a plain ONNX model.
    """
    described = Manifest("onnx", {MODEL: manifest}) if isinstance(manifest, str) else manifest
    described.write(folder)
    return Artifact(folder, described, digest_tree((name, digest_file(folder / name)) for name in files_below(folder)))


@dataclass(frozen=True)
class ArrayDataset(Dataset):
    """Samples held in memory.

    Attributes:
        columns: model input to an array `[samples, ...]`, already of the model's type.
        labels: `[samples, ...]`; empty when there are none.
    """

    columns: Mapping[str, Array]
    labels: Array

    @property
    def count(self) -> int:
        """The number of samples."""
        return min((len(column) for column in self.columns.values()), default=0)

    @property
    def has_labels(self) -> bool:
        """Whether batches carry labels."""
        return self.labels.size > 0

    def batches(self, size: int, most: int = 0) -> Iterator[Batch]:
        """Yields batches of `size` samples in order, at most `most` samples in all (0: all)."""
        end = min(self.count, most or self.count)
        for start in range(0, end, size):
            part = slice(start, min(start + size, end))
            feeds = {name: column[part] for name, column in self.columns.items()}
            yield Batch(feeds, self.labels[part], part.stop - part.start)


@dataclass(frozen=True)
class MemoryContext:
    """Implements `contracts.metric.MeasureContext` for tests and notebooks; sessions are real ones.

    Attributes:
        scratch: an empty folder.
        columns: model input to an array `[samples, ...]`, cast to the model's types when opened; none means random values.
        labels: `[samples, ...]`, or an empty list.
        target: where models run.
        seed: the seed.
        functions: the user's functions by name; the script's path in a `ScriptCall` is not looked at.
        opened: the digest of every artifact opened, in order.
        held_against: says what values mean for the candidate; by default that every constraint holds.
        level: of two-sided intervals.
        seconds_left: how much of the search's time is left.
    """

    scratch: Path
    columns: Mapping[str, Array] = field(default_factory=dict)
    labels: Array | Sequence[object] = ()
    target: Target = field(default_factory=lambda: Target(threads=1))
    seed: int = 0
    functions: Mapping[str, Callable[..., object]] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    held_against: Callable[[Mapping[str, Measurement]], Prospect] = lambda values: Prospect.CLEAR
    level: float = 0.95
    seconds_left: float = inf

    def hurried(self) -> None:
        """Takes note of nothing."""

    @property
    def has_data(self) -> bool:
        """Whether there are columns."""
        return bool(self.columns)

    def open(self, artifact: Artifact) -> Session:
        """Loads a model on the target."""
        self.opened.append(artifact.digest)
        return open_session(artifact, self.target)

    def data(self, session: Session) -> Dataset:
        """Returns the columns cast to a model's inputs, or random samples where there are none."""
        import numpy as np

        if not self.columns:
            return RandomDataset(session.inputs, self.seed)
        kinds = {info.name: "object" if info.dtype == "string" else info.dtype for info in session.inputs}
        return ArrayDataset(
            {name: np.asarray(column).astype(kinds[name]) for name, column in self.columns.items()},
            np.asarray(self.labels),
        )

    def prospect(self, values: Mapping[str, Measurement]) -> Prospect:
        """Returns what `held_against` says."""
        return self.held_against(values)

    def call(self, script: object) -> Callable[..., object]:
        """Returns the function given under the name that a `ScriptCall` names, its `args` bound."""
        from functools import partial

        call = ScriptCall.model_validate(script)
        return partial(self.functions[call.call], **call.args)

    def progress(self, done: float, text: str = "") -> None:
        """Takes note of nothing."""
        del done, text


@dataclass(frozen=True)
class RandomDataset(Dataset):
    """Sixteen unlabelled samples drawn from a model's signature; a fixed batch size of the model's own stays."""

    inputs: Sequence[TensorInfo]
    seed: int

    @property
    def count(self) -> int:
        """The number of samples."""
        return RANDOM_SAMPLES

    @property
    def has_labels(self) -> bool:
        """There are none."""
        return False

    def batches(self, size: int, most: int = 0) -> Iterator[Batch]:
        """Yields random batches of `size` samples, each drawn with its own seed."""
        import numpy as np

        end = max(size, min(RANDOM_SAMPLES, most or RANDOM_SAMPLES))
        for start in range(0, end - size + 1, size):
            yield Batch(random_feeds(self.inputs, size, {}, self.seed + start), np.empty(0), size)
