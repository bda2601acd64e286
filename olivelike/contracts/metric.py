"""The contract of a metric: a candidate (and the baseline, where it compares) in, named measurements out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import Dataset
from olivelike.contracts.outcome import Better, Measurement, Value
from olivelike.contracts.target import Target

if TYPE_CHECKING:
    from olivelike.contracts.data import Array


class MetricConfig(BaseModel):
    """Base of every metric's configuration: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


MetricT = TypeVar("MetricT", bound=MetricConfig)


class Cost(IntEnum):
    """How much a metric costs; metrics run in this order, so that a hopeless candidate is found out cheaply."""

    FREE = 0
    RUNS = 1
    DATASET = 2


class Prospect(Enum):
    """What a candidate's values so far mean for it: a metric that samples may stop once it is `OUT`, not before it is decided."""

    OUT = "it can no longer win: a constraint is broken, or a rival is shown better on every objective"
    OPEN = "the intervals leave a constraint open"
    CLEAR = "every constraint on these values holds"


@dataclass(frozen=True, slots=True)
class ValueSpec:
    """One value that a metric gives: its name inside the metric, unit and better direction.

    `describes`: it describes the runs that were made and claims nothing beyond, so nothing can be held to it (a mean of times).
    """

    name: str
    unit: str
    better: Better
    describes: bool = False


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A model's input or output: ONNX element type in lower case (`float32`), shape with names for dynamic dimensions."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class Session(Protocol):
    """A model loaded on the target."""

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """The model's inputs."""

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """The model's outputs."""

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str] = ()) -> dict[str, Array]:
        """Runs the model and returns its outputs by name (all, or those asked for)."""

    def time(self, feeds: Mapping[str, Array]) -> float:
        """Runs the model once and returns the seconds it took, outputs discarded."""


class MeasureContext(Protocol):
    """What the engine offers a metric while it runs."""

    @property
    def target(self) -> Target:
        """The target to measure on."""

    @property
    def seed(self) -> int:
        """A fixed seed for resampling and the order of timed runs."""

    @property
    def scratch(self) -> Path:
        """An empty folder that is deleted afterwards."""

    @property
    def level(self) -> float:
        """The confidence level of two-sided intervals, 0.95 unless somebody asks for another."""

    @property
    def seconds_left(self) -> float:
        """How much of the search's time is left; infinite where it has no limit."""

    def hurried(self) -> None:
        """Says that measuring ended because the search's time was up: the measurement serves this run and is not kept."""

    @property
    def has_data(self) -> bool:
        """Whether the metric has a data entry; without one, `data` gives random values."""

    def open(self, artifact: Artifact) -> Session:
        """Loads a model on the target.

        Raises:
            InputError: OL210, a provider that the runtime does not offer.
            MeasureError: OL504, the runtime cannot load the model.
        """

    def data(self, session: Session) -> Dataset:
        """Opens the metric's data entry for a model; without one, random values from the model's signature."""

    def prospect(self, values: Mapping[str, Measurement]) -> Prospect:
        """Returns what some of the metric's values, by name, mean for the candidate.

        May be asked as often as wanted where the intervals are valid at any time (`statistics.sequences`); an ordinary
        interval may be asked about once, when sampling has ended.
        """

    def call(self, script: object) -> Callable[..., object]:
        """Returns the user's function that a config names (a `ScriptCall`), its `args` bound."""

    def progress(self, done: float, text: str = "") -> None:
        """Says how far the metric is: `done` from 0 to 1."""


class Metric(ABC, Generic[MetricT]):
    """Measures a candidate. Created without arguments; keeps no state."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    config: ClassVar[type[MetricConfig]]
    cost: ClassVar[Cost]
    timed: ClassVar[bool] = False
    """Whether it reads a clock: such metrics take turns on a machine and carry its fingerprint in their key."""
    compares: ClassVar[bool] = False
    """Whether it needs the baseline's artifact beside the candidate's."""
    runs: ClassVar[bool] = True
    """Whether it runs the model (then target and runtime are part of its key)."""
    data: ClassVar[str] = "none"
    """`required`, `optional` or `none`."""
    needs_labels: ClassVar[bool] = False
    kinds: ClassVar[frozenset[str]] = frozenset({"onnx"})
    completes_feeds: ClassVar[bool] = False
    """Whether it makes up inputs that its data do not feed (the empty past of a language model)."""
    tools: ClassVar[tuple[str, ...]] = ()
    """Distributions whose installed version is part of the key (`scikit-learn`)."""

    @abstractmethod
    def values(self, config: MetricT) -> tuple[ValueSpec, ...]:
        """Returns what it gives, the main value first."""

    def shares(self, config: MetricT) -> tuple[str, ...]:
        """Returns the values that are shares of rightly answered samples: a plan can say how many a drop of one takes."""
        del config
        return ()

    @abstractmethod
    def measure(
        self, candidate: Artifact, reference: Artifact, config: MetricT, context: MeasureContext
    ) -> Mapping[str, Value]:
        """Measures the candidate; the keys are the names that `values` gave. What cannot be given is `Undefined`, with why.

        Args:
            candidate: what to measure.
            reference: the baseline; the candidate itself when the baseline is measured or there is none.
            config: validated.
            context: what the engine offers.
        """

    def measure_several(
        self, candidates: Sequence[Artifact], reference: Artifact, config: MetricT, context: MeasureContext
    ) -> Sequence[Mapping[str, Value]]:
        """Measures several candidates, in order; a metric that runs the reference anew for each may share its runs here."""
        return [self.measure(candidate, reference, config, context) for candidate in candidates]


AnyMetric = Metric[MetricConfig]
