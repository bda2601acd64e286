"""What came of something: a measurement with its interval, and the three outcomes a trial can have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

from olivelike.digest import Json, JsonObject
from olivelike.errors import Problem

Better: TypeAlias = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the ends of its confidence interval (95 % two-sided unless said otherwise)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Unpaired:
    """Nothing was measured side by side with the baseline."""


@dataclass(frozen=True, slots=True)
class Paired:
    """Measured side by side with the baseline: `ratio` is candidate over baseline, `difference` candidate minus baseline.

    Exactly one is given: times are compared by ratio, bounded scores by difference.
    """

    kind: Literal["ratio", "difference"]
    interval: Interval


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measured value.

    Attributes:
        value: in `unit`.
        unit: `ms`, `bytes`, `1/s`, `1` (a share or a score), ...
        better: which direction is better.
        low: lower end of the interval; equals the value where the value is exact.
        high: upper end of the interval.
        n: the number of samples (timed runs, labelled samples); 1 for an exact value.
        versus: the comparison with the baseline, sample by sample, where the metric makes one.
        details: more about the run (warm-up, machine noise), for the report only. A text under `because` says what made the
            value so (the nodes that fell to the CPU); verdicts quote it where a constraint on the value does not hold.
        complete: False where measuring stopped early because nothing more was needed to rule the candidate out.
        extendable: whether it stopped because what was asked was decided, before its own time was up: measured longer, it
            could answer more.
    """

    value: float
    unit: str
    better: Better
    low: float
    high: float
    n: int
    versus: Paired | Unpaired = field(default_factory=Unpaired)
    details: Mapping[str, Json] = field(default_factory=dict)
    complete: bool = True
    extendable: bool = False

    @classmethod
    def exact(cls, value: float, unit: str, better: Better) -> Measurement:
        """Returns a value without an interval: it was counted, not sampled."""
        return cls(value, unit, better, value, value, 1)

    @property
    def interval(self) -> Interval:
        """The value with its interval."""
        return Interval(self.value, self.low, self.high)

    def to_json(self) -> JsonObject:
        """Returns the measurement as the answer document and the index hold it."""
        result: JsonObject = {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "unit": self.unit,
            "better": self.better,
        }
        if isinstance(self.versus, Paired):
            end = self.versus.interval
            result["versus_baseline"] = {self.versus.kind: end.value, "low": end.low, "high": end.high}
        if self.details:
            result["details"] = dict(self.details)
        if not self.complete:
            result["complete"] = False
        if self.extendable:
            result["extendable"] = True
        return result

    @classmethod
    def from_json(cls, value: JsonObject) -> Measurement:
        """Reads what `to_json` wrote."""
        return cls(
            value=cast("float", value["value"]),
            unit=str(value["unit"]),
            better=cast("Better", value["better"]),
            low=cast("float", value["low"]),
            high=cast("float", value["high"]),
            n=cast("int", value["n"]),
            versus=_versus(value.get("versus_baseline")),
            details=cast("dict[str, Json]", value.get("details", {})),
            complete=bool(value.get("complete", True)),
            extendable=bool(value.get("extendable", False)),
        )

    def is_finite(self) -> bool:
        """Whether value and interval are finite numbers."""
        return all(map(math.isfinite, (self.value, self.low, self.high)))


@dataclass(frozen=True, slots=True)
class Undefined:
    """A value that cannot be given, and why: labels of one class only, too few runs for a percentile, all answers equal."""

    reason: str


Value: TypeAlias = Measurement | Undefined
"""What a metric gives under each of its names: a measurement, or why there is none."""


def _versus(value: Json) -> Paired | Unpaired:
    if not isinstance(value, dict):
        return Unpaired()
    kind: Literal["ratio", "difference"] = "ratio" if "ratio" in value else "difference"
    return Paired(kind, Interval(*(cast("float", value[name]) for name in (kind, "low", "high"))))


@dataclass(frozen=True, slots=True)
class Measured:
    """The trial has an artifact and what was measured of it.

    Attributes:
        artifact: digest of the candidate.
        metrics: `name.value` to measurement.
        not_measured: `name.value` to the reason why it was left out: the candidate could not win any more.
        unavailable: `name.value` to the reason why it cannot be measured here at all.
    """

    artifact: str
    metrics: Mapping[str, Measurement]
    not_measured: Mapping[str, str] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """A pass said why it cannot apply."""

    reason: str
    step: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """Something broke: a pass, a metric, a worker.

    Attributes:
        reason: one line, with the error code.
        step: the step or metric it happened in.
        log: the last lines of the worker's log or the traceback.
        input: what is wrong with the user's input (data, labels, scripts), where that is the cause.
    """

    reason: str
    step: str = ""
    log: str = ""
    input: tuple[Problem, ...] = ()


Outcome: TypeAlias = Measured | Refused | Failed
