"""The metric `latency`: how long one run takes, timed in turns with the baseline."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from statistics import fmean
from typing import Literal, TypeAlias, assert_never

from pydantic import Field

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Cost, MeasureContext, Metric, ValueSpec
from olivelike.contracts.outcome import Interval, Measurement, Paired, Unpaired
from olivelike.evaluate.statistics.intervals import (
    blocked_mean_interval,
    blocked_quantile_interval,
    median_ratio_interval,
    quantile,
    statistic_ratio_interval,
)
from olivelike.evaluate.timing.timed_models import Blocks, Compared, TimingConfig, time_models

Value: TypeAlias = Literal["p50", "mean", "p90"]
MILLISECONDS = 1e3


class LatencyConfig(TimingConfig):
    """What to time and how long."""

    values: tuple[Value, ...] = Field(default=("p50", "mean", "p90"), min_length=1)
    """Which values to give, the main one first."""


class Latency(Metric[LatencyConfig]):
    """Milliseconds for one run at a fixed batch size: median, mean and 90th percentile.

    Candidate and baseline take turns in one process (`paired_timing.take_turns`), and each value carries its ratio to the
    baseline beside its own interval: of `p50` the median of the ratios of neighbouring runs, of `mean` and `p90` the ratio
    of the two. The interval of a ratio is much narrower than the two intervals apart, because most of what disturbs a
    machine disturbs both. All intervals are of 95 % and take the blocks, not the runs, for independent (`intervals`).

    Percentiles above the 90th are left out: some hundred runs cannot certify them.
    """

    name = "latency"
    config = LatencyConfig
    cost = Cost.RUNS
    timed = True
    compares = True
    data = "optional"

    def values(self, config: LatencyConfig) -> tuple[ValueSpec, ...]:
        """Returns what the config asks for, in its order, in `ms`; lower is better."""
        return tuple(ValueSpec(name, "ms", "lower") for name in config.values)

    def measure(
        self, candidate: Artifact, reference: Artifact, config: LatencyConfig, context: MeasureContext
    ) -> Mapping[str, Measurement]:
        """Times the candidate, and the reference beside it unless they are the same artifact."""
        compared = time_models(candidate, reference, config, context)
        return {name: _measurement(name, compared) for name in config.values}


def _measurement(name: Value, compared: Compared) -> Measurement:
    own = _interval(name, compared.candidate)
    value, low, high = (end * MILLISECONDS for end in (own.value, own.low, own.high))
    versus = Paired("ratio", _ratio(name, compared)) if compared.reference else Unpaired()
    n = sum(map(len, compared.candidate))
    return Measurement(value, "ms", "lower", max(low, 0.0), high, n, versus, compared.details)


def _interval(name: Value, blocks: Blocks) -> Interval:
    match name:
        case "p50":
            return blocked_quantile_interval(blocks, 0.5)
        case "p90":
            return blocked_quantile_interval(blocks, 0.9)
        case "mean":
            return blocked_mean_interval(blocks)
    assert_never(name)


def _ratio(name: Value, compared: Compared) -> Interval:
    match name:
        case "p50":
            return median_ratio_interval(compared.candidate, compared.reference)
        case "p90":
            return statistic_ratio_interval(compared.candidate, compared.reference, partial(quantile, share=0.9))
        case "mean":
            return statistic_ratio_interval(compared.candidate, compared.reference, fmean)
    assert_never(name)
