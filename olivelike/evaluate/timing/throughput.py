"""The metric `throughput`: samples per second over batched runs, timed in turns with the baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from pydantic import PositiveInt

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Cost, MeasureContext, Metric, ValueSpec
from olivelike.contracts.outcome import Measurement, Paired, Unpaired
from olivelike.digest import Json
from olivelike.errors import InputError, fail
from olivelike.evaluate.statistics.intervals import blocked_quantile_interval, median_ratio_interval
from olivelike.evaluate.timing.timed_models import Compared, TimingConfig, time_models

UNIT = "1/s"


class ThroughputConfig(TimingConfig):
    """What to time and how long."""

    batch: PositiveInt = 8
    """Samples in one run."""


class Throughput(Metric[ThroughputConfig]):
    """Samples per second, one batch after the other from a single caller.

    The value is the batch over the median time of a run: now and then something else takes the processor for a while, which
    says nothing about the model and would decide over a mean. Candidate and baseline take turns, and the ratio is the
    median over neighbouring runs; both intervals are of 95 % and take blocks, not runs, for independent (`intervals`).
    """

    name = "throughput"
    config = ThroughputConfig
    cost = Cost.RUNS
    timed = True
    compares = True
    data = "optional"

    def values(self, config: ThroughputConfig) -> tuple[ValueSpec, ...]:
        """Returns `samples_per_second`, higher is better."""
        del config
        return (ValueSpec("samples_per_second", UNIT, "higher"),)

    def measure(
        self, candidate: Artifact, reference: Artifact, config: ThroughputConfig, context: MeasureContext
    ) -> Mapping[str, Measurement]:
        """Times the candidate, and the reference beside it unless they are the same artifact.

        Raises:
            InputError: OL206, the model takes batches of another size only.
        """
        compared = time_models(candidate, reference, config, context)
        _check_batch(compared, config.batch)
        return {"samples_per_second": _measurement(compared, config.batch)}


def _check_batch(compared: Compared, batch: int) -> None:
    shapes = cast("dict[str, list[Json]]", compared.details["shapes"])
    for name, shape in shapes.items():
        if not shape or shape[0] != batch:
            claim = f"the input {name!r} was fed an array of shape {shape}, which is no batch of {batch}"
            raise fail(InputError, "OL206", claim, path="batch", hint="set `batch` to the model's own batch size")


def _measurement(compared: Compared, batch: int) -> Measurement:
    seconds = blocked_quantile_interval(compared.candidate, 0.5)
    fastest = min(
        map(min, compared.candidate)
    )  # where blocks disagree wildly, the lower end in seconds may be below zero
    low, high = batch / seconds.high, batch / max(seconds.low, fastest)
    # Reference over candidate, because samples per second are the inverse of seconds.
    versus = (
        Paired("ratio", median_ratio_interval(compared.reference, compared.candidate))
        if compared.reference
        else Unpaired()
    )
    n = sum(map(len, compared.candidate))
    return Measurement(batch / seconds.value, UNIT, "higher", low, high, n, versus, compared.details)
