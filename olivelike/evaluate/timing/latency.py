"""The metric `latency`: how long one run takes, timed in turns with the baseline until that is decided."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Annotated

from pydantic import AfterValidator, Field

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Cost, MeasureContext, Metric, ValueSpec
from olivelike.contracts.outcome import Measurement, Paired, Undefined, Value
from olivelike.evaluate.statistics.blocks import blocked_quantile, blocked_quantile_ratio
from olivelike.evaluate.timing.timed_models import Compared, TimingConfig, time_models

MILLISECONDS = 1e3
MEAN = "mean"
CERTAIN = 0.99
"""How sure one must be that the runs reach beyond a percentile before it is given."""


def share_of(name: str) -> float:
    """Returns the share that a percentile's name stands for.

    >>> share_of("p99")
    0.99
    """
    return float(name[1:]) / 100


def _checked(name: str) -> str:
    if name == MEAN:
        return name
    try:
        inside = name.startswith("p") and 0 < share_of(name) < 1
    except ValueError:
        inside = False
    if not inside:
        raise ValueError(f"{name!r} is neither mean nor a percentile between p0 and p100, such as p50 or p99.9")
    return name


ValueName = Annotated[str, AfterValidator(_checked)]


class LatencyConfig(TimingConfig):
    """What to time and how long."""

    values: tuple[ValueName, ...] = Field(default=("p50", "p90"), min_length=1)
    """Which values to give, the main one first: percentiles such as `p50`, `p99`, `p99.9`, and `mean`."""


class Latency(Metric[LatencyConfig]):
    """Milliseconds for one run at a fixed batch size: percentiles, and the mean of the runs made.

    A single stream: the next run begins when the one before has ended, of one sample (`batch: 1`) or of a batch.

    Candidate and baseline take turns in one process (`paired_timing.take_turns`), and each value carries its ratio to the
    baseline beside its own interval: of `p50` the median of the ratios of neighbouring runs, which is known much better than
    the two apart, because most of what disturbs a machine disturbs both; of other percentiles the quotient. All intervals
    are of 95 %, take the blocks, not the runs, for independent, and hold at whatever moment timing stops
    (`statistics.blocks`): it stops when the constraints are decided and the ratio is known to half a percent, earlier when
    the candidate is out.

    A percentile is given only from enough runs to be 99 % sure that one of them lies beyond it: p90 takes 44, p95 takes 90,
    p99 takes 459. More runs are made for it while `longest` lasts; otherwise the report says how many are missing.

    `mean` describes the runs that were made. A single stall moves it, and how often stalls come no number of runs shows that a
    search can afford: nothing can be held to it, neither a constraint nor an objective.

    The baseline is timed beside its own copy: how far apart the two come out is what the machine can tell apart.
    """

    name = "latency"
    config = LatencyConfig
    cost = Cost.RUNS
    timed = True
    compares = True
    data = "optional"

    def values(self, config: LatencyConfig) -> tuple[ValueSpec, ...]:
        """Returns what the config asks for, in its order, in `ms`; lower is better."""
        return value_specs(config.values)

    def measure(
        self, candidate: Artifact, reference: Artifact, config: LatencyConfig, context: MeasureContext
    ) -> Mapping[str, Value]:
        """Times the candidate beside the reference, or beside its own copy where they are the same artifact."""
        return self.measure_several((candidate,), reference, config, context)[0]

    def measure_several(
        self, candidates: Sequence[Artifact], reference: Artifact, config: LatencyConfig, context: MeasureContext
    ) -> Sequence[Mapping[str, Value]]:
        """Times candidates beside one stream of the reference's runs."""
        fewest = max(runs_needed(name) for name in config.values)
        values = partial(latencies, config.values, context.level)
        return time_models(candidates, reference, config, context, values, fewest)


def runs_needed(name: str) -> int:
    """Returns the runs that a value takes: that with 99 % certainty one of them lies beyond the percentile (Wilks 1941).

    >>> [runs_needed(name) for name in ("mean", "p50", "p90", "p95", "p99")]
    [1, 7, 44, 90, 459]
    """
    if name == MEAN:
        return 1
    inside = max(share_of(name), 1 - share_of(name))
    return math.ceil(math.log(1 - CERTAIN) / math.log(inside))


def value_specs(names: Sequence[str]) -> tuple[ValueSpec, ...]:
    """Returns what values of such names are: milliseconds, lower is better."""
    return tuple(ValueSpec(name, "ms", "lower", describes=name == MEAN) for name in names)


def latencies(names: tuple[str, ...], level: float, compared: Compared) -> dict[str, Value]:
    """Returns the values of some names from timed runs."""
    return {name: _value(name, level, compared) for name in names}


def _value(name: str, level: float, compared: Compared) -> Value:
    if compared.runs < runs_needed(name):
        return Undefined(
            f"{name} takes {runs_needed(name):,} timed runs, and {compared.runs:,} fit into the time: raise `longest`"
        )
    if name == MEAN:
        mean = fmean(run for block in compared.candidate for run in block) * MILLISECONDS
        return Measurement(mean, "ms", "lower", mean, mean, compared.runs, details=compared.details)
    own = blocked_quantile(compared.candidate, share_of(name), level)
    value, low, high = (end * MILLISECONDS for end in (own.value, own.low, own.high))
    if not all(map(math.isfinite, (low, high))):
        return Undefined(
            f"{compared.runs:,} timed runs bound {name} on one side only: more are needed, raise `longest`"
        )
    if compared.itself:
        return Measurement(value, "ms", "lower", max(low, 0.0), high, compared.runs, details=compared.details)
    ratio = blocked_quantile_ratio(compared.candidate, compared.reference, share_of(name), level)
    if not 0 < ratio.low <= ratio.high < math.inf:
        return Undefined(f"{compared.runs:,} timed runs bound the ratio of {name} to the baseline's on one side only")
    versus = Paired("ratio", ratio)
    return Measurement(value, "ms", "lower", max(low, 0.0), high, compared.runs, versus, compared.details)
