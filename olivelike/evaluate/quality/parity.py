"""The metric `parity`: how far the candidate's outputs are from the baseline's on the same inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from pydantic import PositiveInt

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Cost, MeasureContext, Metric, MetricConfig, Session, ValueSpec
from olivelike.contracts.outcome import Measurement
from olivelike.digest import Json
from olivelike.errors import InputError, MeasureError, fail, nearest
from olivelike.evaluate.sessions.batches import batch_size, finite

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array

    Rows: TypeAlias = NDArray[np.float64]


class ParityConfig(MetricConfig):
    """What to compare."""

    outputs: tuple[str, ...] = ()
    """The outputs to compare; all numeric ones of the baseline by default."""
    samples: PositiveInt = 256
    """The first so many samples, at most."""
    batch: PositiveInt = 64
    """Samples in one run; a model with a fixed batch size gets its own."""


class Parity(Metric[ParityConfig]):
    """Distance between the candidate's and the baseline's outputs, no labels needed.

    `max_abs` is the largest absolute difference of any element, `mean_abs` the mean over all elements, `cosine` the mean
    over samples of the cosine between the two flattened outputs (1 where both are zero). With several outputs each value is
    that of the worst. They describe exactly the samples they were taken on and claim nothing beyond, so they carry no
    interval; `n` is the number of samples.
    """

    name = "parity"
    config = ParityConfig
    cost = Cost.DATASET
    compares = True
    data = "optional"

    def values(self, config: ParityConfig) -> tuple[ValueSpec, ...]:
        """Returns `max_abs` and `mean_abs` (lower is better) and `cosine` (higher)."""
        del config
        return (
            ValueSpec("max_abs", "1", "lower"),
            ValueSpec("mean_abs", "1", "lower"),
            ValueSpec("cosine", "1", "higher"),
        )

    def measure(
        self, candidate: Artifact, reference: Artifact, config: ParityConfig, context: MeasureContext
    ) -> Mapping[str, Measurement]:
        """Runs both models on the same samples and compares their outputs by name.

        Raises:
            InputError: OL206, no samples, or `outputs` names none of the baseline's.
            MeasureError: OL504, an output is missing, of another shape, or not finite.
        """
        apart, n = _distances(context.open(candidate), context.open(reference), config, context)
        details: dict[str, Json] = {name: distance.summary() for name, distance in apart.items()}
        worst = {
            "max_abs": max(distance.largest for distance in apart.values()),
            "mean_abs": max(distance.mean for distance in apart.values()),
            "cosine": min(distance.cosine for distance in apart.values()),
        }
        return {spec.name: _exact(worst[spec.name], spec, n, details) for spec in self.values(config)}


@dataclass(slots=True)
class _Distance:
    """Running sums over the batches of one output."""

    largest: float = 0.0
    total: float = 0.0
    elements: int = 0
    cosines: list[float] = field(default_factory=list)

    @property
    def mean(self) -> float:
        return self.total / max(self.elements, 1)

    @property
    def cosine(self) -> float:
        return sum(self.cosines) / max(len(self.cosines), 1)

    def add(self, ours: Rows, theirs: Rows) -> None:
        import numpy as np

        apart = np.abs(ours - theirs)
        self.largest = max(self.largest, float(apart.max(initial=0.0)))
        self.total += float(apart.sum())
        self.elements += apart.size
        self.cosines += _cosines(ours, theirs)

    def summary(self) -> dict[str, Json]:
        return {"max_abs": self.largest, "mean_abs": self.mean, "cosine": self.cosine}


def _exact(value: float, spec: ValueSpec, n: int, outputs: dict[str, Json]) -> Measurement:
    return Measurement(value, spec.unit, spec.better, value, value, n, details={"outputs": outputs})


def _distances(
    candidate: Session, reference: Session, config: ParityConfig, context: MeasureContext
) -> tuple[dict[str, _Distance], int]:
    names = _names(candidate, reference, config)
    apart = {name: _Distance() for name in names}
    size = min(batch_size(candidate, config.batch), batch_size(reference, config.batch))
    ours = context.data(candidate).batches(size, config.samples)
    theirs = context.data(reference).batches(size, config.samples)
    n = 0
    for own, other in zip(ours, theirs, strict=True):
        got, wanted = candidate.run(own.feeds, names), reference.run(other.feeds, names)
        for name in names:
            apart[name].add(*_rows(name, got[name], wanted[name], own.size))
        n += own.size
        context.progress(min(n / config.samples, 1.0))
    if not n:
        raise fail(InputError, "OL206", "the data hold no samples", hint="give at least one sample")
    return apart, n


def _names(candidate: Session, reference: Session, config: ParityConfig) -> list[str]:
    numeric = [info.name for info in reference.outputs if info.dtype != "string" and "(" not in info.dtype]
    for name in config.outputs:
        if name not in numeric:
            claim = f"the baseline has no numeric output {name!r}"
            raise fail(InputError, "OL206", claim, path="outputs", hint=nearest(name, numeric))
    names = list(config.outputs) or numeric
    missing = sorted(set(names) - {info.name for info in candidate.outputs})
    if missing or not names:
        claim = f"the candidate lacks the output {missing[0]!r}" if missing else "the baseline has no numeric output"
        raise fail(MeasureError, "OL504", claim)
    return names


def _rows(name: str, ours: Array, theirs: Array, size: int) -> tuple[Rows, Rows]:
    """Returns both outputs as float64, one row for each sample; a single row where there is no dimension of samples."""
    import numpy as np

    if ours.shape != theirs.shape:
        claim = f"the output {name!r} has the shape {list(ours.shape)} where the baseline's has {list(theirs.shape)}"
        raise fail(MeasureError, "OL504", claim)
    rows = size if ours.ndim and ours.shape[0] == size else 1
    first, second = (finite(array, name).astype(np.float64).reshape(rows, -1) for array in (ours, theirs))
    return first, second


def _cosines(ours: Rows, theirs: Rows) -> list[float]:
    import numpy as np

    norms = np.linalg.norm(ours, axis=1), np.linalg.norm(theirs, axis=1)
    product = norms[0] * norms[1]
    same_zero = (norms[0] == 0) & (norms[1] == 0)
    cosine = np.where(product > 0, (ours * theirs).sum(axis=1) / np.where(product > 0, product, 1.0), same_zero)
    return [float(value) for value in np.clip(cosine, -1.0, 1.0)]
