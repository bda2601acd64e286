"""What a pass and a metric are handed while they run in a worker: sessions, data and the user's functions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, cast

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.data import DataReader, Dataset, DataSpec, ScriptCall
from olivelike.contracts.metric import MetricConfig, Prospect, Session, TensorInfo
from olivelike.contracts.outcome import Measurement
from olivelike.contracts.target import Target
from olivelike.contracts.task import MeasureTask, StepTask
from olivelike.digest import Json, files_below
from olivelike.engine.goals import Goals
from olivelike.errors import InputError, fail
from olivelike.evaluate.sessions.session import open_session
from olivelike.onnxfile.read import signature
from olivelike.registry import Registry, installed
from olivelike.sources.calling import load_call
from olivelike.sources.dataset import open_dataset
from olivelike.sources.preparation import Named, Prepare, as_read
from olivelike.store.port import Store

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

LOG = logging.getLogger("olivelike.worker")


@dataclass(frozen=True)
class PassDesk:
    """The context of a pass; implements `contracts.passes.PassContext`."""

    task: StepTask
    store: Store
    scratch: Path

    @property
    def target(self) -> Target:
        """The target that the candidate is made for."""
        return self.task.target

    @property
    def seed(self) -> int:
        """The seed."""
        return self.task.seed

    @property
    def needed(self) -> Mapping[str, Artifact]:
        """The outputs of the auxiliary steps."""
        return {name: self.store.open(digest) for name, digest in self.task.needed.items()}

    def data(self, name: str, model: Path) -> Dataset:
        """Opens a data entry, cast to the inputs of a model; its weights, which a session would hold twice, are not read."""
        inputs = tuple(TensorInfo(value.name, value.dtype, value.shape) for value in signature(model).inputs)
        return dataset(self.task.data[name], inputs, self.store)

    def run(self, model: Path, feeds: Mapping[str, Array], outputs: Sequence[str] = ()) -> dict[str, Array]:
        """Runs a model once on the target; on the CPU where the target is not present."""
        return self._session(model).run(feeds, outputs)

    def progress(self, done: float, text: str = "") -> None:
        """Logs how far the pass is."""
        LOG.debug("%s %.0f %% %s", self.task.name, done * 100, text)

    def _session(self, model: Path) -> Session:
        where = self.target if self.target.present else Target(threads=self.target.threads)
        artifact = Artifact(model.parent, Manifest("onnx", {"model": model.name}), "")
        return open_session(artifact, where, beside=[self.store.open(self.task.source)])


@dataclass(frozen=True)
class MeasureDesk:
    """The context of a metric; implements `contracts.metric.MeasureContext`."""

    task: MeasureTask
    store: Store
    scratch: Path
    config: MetricConfig
    begun: float = field(default_factory=monotonic)
    hurries: list[bool] = field(default_factory=list)
    opened: dict[tuple[TensorInfo, ...], Dataset] = field(default_factory=dict)

    @property
    def target(self) -> Target:
        """The target to measure on."""
        return self.task.target

    @property
    def seed(self) -> int:
        """The seed of resampling and of the order of runs."""
        return self.task.seed

    @property
    def level(self) -> float:
        """The confidence level of two-sided intervals."""
        return self.task.level

    @property
    def seconds_left(self) -> float:
        """How much of the search's time is left."""
        return max(self._goals.seconds - (monotonic() - self.begun), 0.0)

    def hurried(self) -> None:
        """Says that measuring ended because the search's time was up."""
        self.hurries.append(True)

    @property
    def kept(self) -> bool:
        """Whether the measurement is to be recorded."""
        return not self.hurries

    @property
    def has_data(self) -> bool:
        """Whether the metric has a data entry."""
        return bool(self.task.data)

    def prospect(self, values: Mapping[str, Measurement]) -> Prospect:
        """Returns what some of the metric's values mean for the candidate."""
        return self._goals.prospect({f"{self.task.name}.{name}": found for name, found in values.items()})

    @property
    def _goals(self) -> Goals:
        return Goals.from_json(self.task.goals)

    def open(self, artifact: Artifact) -> Session:
        """Loads a model on the target."""
        return open_session(artifact, self.target)

    def data(self, session: Session) -> Dataset:
        """Opens the metric's data entry for a model; without one, random values from the model's signature."""
        if session.inputs not in self.opened:  # candidate and baseline take turns on it, and share what was read last
            spec = next(iter(self.task.data.values()), DataSpec("random", "random", {"random": {}}))
            self.opened[session.inputs] = dataset(spec, session.inputs, self.store)
        return self.opened[session.inputs]

    def call(self, script: object) -> Callable[..., object]:
        """Returns the user's function that the config names, its arguments bound."""
        if not isinstance(script, ScriptCall):
            raise fail(InputError, "OL209", f"expected a script, got {type(script).__name__}")
        folder = self.store.open(self.task.scripts[script.script]).folder
        return load_call(folder, Path(script.script).name, script.call, script.args)

    def progress(self, done: float, text: str = "") -> None:
        """Logs how far the metric is."""
        LOG.debug("%s %.0f %% %s", self.task.name, done * 100, text)


def dataset(spec: DataSpec, inputs: Sequence[TensorInfo], store: Store) -> Dataset:
    """Opens a data entry for a model."""
    registry: Registry = installed()
    reader: DataReader = registry.reader_named(spec.reader)()
    folder = store.open(spec.files).folder if spec.files else Path()
    return open_dataset(spec, reader, folder, inputs, prepare=_prepare(spec, registry, store))


def _prepare(spec: DataSpec, registry: Registry, store: Store) -> Prepare:
    if not spec.prepare:
        return as_read
    if "transform" in spec.prepare:
        return _named(spec, registry, store)
    folder = store.open(str(spec.prepare["files"])).folder
    args = cast("Mapping[str, Json]", spec.prepare["args"])
    return load_call(folder, Path(str(spec.prepare["script"])).name, str(spec.prepare["call"]), args)


def _named(spec: DataSpec, registry: Registry, store: Store) -> Named:
    transform = registry.transform_named(str(spec.prepare["transform"]))()
    config = transform.config.model_validate(spec.prepare["options"])
    folder = store.open(str(spec.prepare["files"])).folder if spec.prepare["files"] else Path()
    files = {name: folder / name for name in files_below(folder)} if spec.prepare["files"] else {}
    return Named(transform, config, files, bool(spec.prepare["default"]))
