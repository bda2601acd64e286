"""The metric `throughput`: samples per second over batched runs, timed in turns with the baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

from pydantic import PositiveInt

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Cost, MeasureContext, Metric, ValueSpec
from olivelike.contracts.outcome import Measurement, Paired, Undefined, Unpaired, Value
from olivelike.digest import Json
from olivelike.errors import InputError, fail
from olivelike.evaluate.statistics.blocks import blocked_median_ratio, blocked_quantile
from olivelike.evaluate.timing.timed_models import Compared, TimingConfig, time_models

UNIT = "1/s"


class ThroughputConfig(TimingConfig):
    """What to time and how long."""

    batch: PositiveInt = 8
    """Samples in one run."""


class Throughput(Metric[ThroughputConfig]):
    """Samples per second, offline: as many as possible, one batch right after the other from a single caller.

    How long a sample waits for its answer does not count here (the scenario `offline` of MLPerf Inference); `latency` is
    for that, and `server` for requests that come when they like.

    The value is the batch over the median time of a run: now and then something else takes the processor for a while, which
    says nothing about the model and would decide over a mean. Candidate and baseline take turns, and the ratio is the
    median over neighbouring runs; both intervals are of 95 %, take blocks, not runs, for independent, and hold at whatever
    moment timing stops (`statistics.blocks`).
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
    ) -> Mapping[str, Value]:
        """Times the candidate beside the reference, or beside its own copy where they are the same artifact.

        Raises:
            InputError: OL206, the model takes batches of another size only.
        """
        return self.measure_several((candidate,), reference, config, context)[0]

    def measure_several(
        self, candidates: Sequence[Artifact], reference: Artifact, config: ThroughputConfig, context: MeasureContext
    ) -> Sequence[Mapping[str, Value]]:
        """Times candidates beside one stream of the reference's runs.

        Raises:
            InputError: OL206, a model takes batches of another size only.
        """

        def values(compared: Compared) -> dict[str, Value]:
            _check_batch(compared, config.batch)
            return {"samples_per_second": per_second(config.batch, compared, context.level)}

        return time_models(candidates, reference, config, context, values)


def _check_batch(compared: Compared, batch: int) -> None:
    shapes = cast("dict[str, list[Json]]", compared.details["shapes"])
    for name, shape in shapes.items():
        if not shape or shape[0] != batch:
            claim = f"the input {name!r} was fed an array of shape {shape}, which is no batch of {batch}"
            raise fail(InputError, "OL206", claim, path="batch", hint="set `batch` to the model's own batch size")


def per_second(amount: float, compared: Compared, level: float) -> Value:
    """Returns an amount over the median time of a run; candidate over baseline is above 1 for the faster."""
    seconds = blocked_quantile(compared.candidate, 0.5, level)
    if not all(map(math.isfinite, (seconds.low, seconds.high))):
        return Undefined(f"{len(compared.candidate)} blocks of runs do not bound the median time of a run")
    # Reference over candidate, because an amount per second is the inverse of seconds.
    ratio = Paired("ratio", blocked_median_ratio(compared.reference, compared.candidate, level))
    versus = Unpaired() if compared.itself else ratio
    value, low, high = (amount / end for end in (seconds.value, seconds.high, seconds.low))
    return Measurement(value, UNIT, "higher", low, high, compared.runs, versus, compared.details)
