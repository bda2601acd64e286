"""The metric `parity`: how far the candidate's outputs are from the baseline's on the same inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import Field, PositiveInt

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Cost, MeasureContext, Metric, MetricConfig, Session, ValueSpec
from olivelike.contracts.outcome import Measurement, Undefined, Value
from olivelike.digest import Json
from olivelike.errors import InputError, MeasureError, fail, nearest
from olivelike.evaluate.quality.distances import Distance
from olivelike.evaluate.sessions.batches import batch_size, finite

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array

    Rows: TypeAlias = NDArray[np.float64]


Name: TypeAlias = Literal["max_abs", "mean_abs", "cosine", "mse", "sqnr"]

SPECS: dict[str, ValueSpec] = {
    "max_abs": ValueSpec("max_abs", "1", "lower"),
    "mean_abs": ValueSpec("mean_abs", "1", "lower"),
    "cosine": ValueSpec("cosine", "1", "higher"),
    "mse": ValueSpec("mse", "1", "lower"),
    "sqnr": ValueSpec("sqnr", "dB", "higher"),
}
SAMPLED = {"mse", "sqnr"}
"""The values with an interval over samples."""


class ParityConfig(MetricConfig):
    """What to compare."""

    values: tuple[Name, ...] = Field(default=("max_abs", "mean_abs", "cosine"), min_length=1)
    """Which values to give, the main one first."""
    outputs: tuple[str, ...] = ()
    """The outputs to compare; all numeric ones of the baseline by default."""
    samples: PositiveInt = 256
    """The first so many samples, at most."""
    batch: PositiveInt = 64
    """Samples in one run; a model with a fixed batch size gets its own."""


class Parity(Metric[ParityConfig]):
    """Distance between the candidate's and the baseline's outputs, no labels needed.

    What it does:
        Runs both models on the same samples. `max_abs` is the largest absolute difference of any element, `mean_abs` the mean
        over all elements, `cosine` the mean over samples of the cosine between the two flattened outputs (1 where both are
        zero), `mse` the mean squared difference, `sqnr` the signal to quantization noise ratio in dB: ten times the
        logarithm of the baseline's sum of squares over that of the difference. With several outputs each value is that of
        the worst one, and the report holds each output's.

    When to use it:
        To look, or as a bound against gross damage, where there are no labels. For a promise about quality use labels.

    Limits:
        `max_abs`, `mean_abs` and `cosine` describe exactly the samples they were taken on and claim nothing beyond, so
        they carry no interval. `mse` and `sqnr` carry a bootstrap interval over samples, and need ten of them. `sqnr` of
        equal outputs is infinite and given as 200 dB, which is more than float32 can tell apart; of a baseline whose
        output is all zero it is undefined. `n` is the number of samples.

    Example:
        ```yaml
        metrics:
          close: {type: parity, data: test, values: [sqnr, cosine]}
        constraints:
          - {metric: close.sqnr, at_least: 30}
        ```
    """

    name = "parity"
    config = ParityConfig
    cost = Cost.DATASET
    compares = True
    data = "optional"

    def values(self, config: ParityConfig) -> tuple[ValueSpec, ...]:
        """Returns the values asked for: differences, lower is better; `cosine` and `sqnr` (in dB), higher is better."""
        return tuple(SPECS[name] for name in dict.fromkeys(config.values))

    def measure(
        self, candidate: Artifact, reference: Artifact, config: ParityConfig, context: MeasureContext
    ) -> Mapping[str, Value]:
        """Runs both models on the same samples and compares their outputs by name.

        Raises:
            InputError: OL206, no samples, or `outputs` names none of the baseline's.
            MeasureError: OL504, an output is missing, of another shape, or not finite.
        """
        apart, n = _distances(context.open(candidate), context.open(reference), config, context)
        details: dict[str, Json] = {name: distance.summary() for name, distance in apart.items()}
        return {spec.name: _value(spec, apart, n, details, context) for spec in self.values(config)}


def _value(
    spec: ValueSpec, apart: Mapping[str, Distance], n: int, outputs: dict[str, Json], context: MeasureContext
) -> Value:
    """Returns a value of the worst output."""
    worst = max if spec.better == "lower" else min
    if spec.name not in SAMPLED:
        value = worst(distance.exact(spec.name) for distance in apart.values())
        return Measurement(value, spec.unit, spec.better, value, value, n, details={"outputs": outputs})
    found: list[Measurement] = []
    for name, distance in apart.items():
        sampled = distance.sampled(spec, context.seed, context.level)
        if isinstance(sampled, Undefined):
            return Undefined(f"the output {name!r}: {sampled.reason}")
        found.append(sampled)
    return replace(worst(found, key=lambda measured: measured.value), details={"outputs": outputs})


def _distances(
    candidate: Session, reference: Session, config: ParityConfig, context: MeasureContext
) -> tuple[dict[str, Distance], int]:
    names = _names(candidate, reference, config)
    apart = {name: Distance() for name in names}
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
