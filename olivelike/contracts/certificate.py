"""A certificate: what of a model's constraints can be promised, by samples that no choice has looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from olivelike.contracts.figures import metrics_json
from olivelike.contracts.outcome import Interval, Measurement
from olivelike.digest import JsonObject


class Certainty(Enum):
    """What can be promised of a constraint."""

    ACCEPT = "accept"
    REJECT = "reject"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Finding:
    """One constraint on data that the search did not see.

    Attributes:
        constraint: as the user wrote it.
        verdict: what can be promised of it.
        found: what was found, as text.
        interval: what is held against the bound, in the words of the rule (a drop, an increase); not a number where unknown.
        upper: whether the bound is an upper one.
    """

    constraint: str
    verdict: Certainty
    found: str
    interval: Interval
    upper: bool

    @property
    def promise(self) -> str:
        """The worse end of the interval in words: `at most 0.003`; nothing where nothing was measured or all of it counted."""
        end = self.interval.high if self.upper else self.interval.low
        if not math.isfinite(end) or self.interval.low == self.interval.high:
            return ""
        return f"{'at most' if self.upper else 'at least'} {end:.2g}"

    def to_json(self) -> JsonObject:
        """Returns the finding as it stands in the answer document."""
        ends: JsonObject = {"value": self.interval.value, "low": self.interval.low, "high": self.interval.high}
        known = math.isfinite(self.interval.high - self.interval.low)
        return {
            "constraint": self.constraint,
            "verdict": self.verdict.value,
            "found": self.found,
            "interval": ends if known else None,
        }


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was found of a chosen model on data that the search did not see.

    Attributes:
        trial: the trial's number; -1 for the baseline.
        alpha: the chance, at most, of accepting a constraint that does not hold.
        findings: one for each constraint whose metric names data to certify on.
        metrics: what was measured on those data.
    """

    trial: int
    alpha: float
    findings: tuple[Finding, ...]
    metrics: Mapping[str, Measurement]

    @property
    def verdict(self) -> Certainty:
        """Accepted if every constraint is, rejected if any is."""
        verdicts = {finding.verdict for finding in self.findings}
        if Certainty.REJECT in verdicts:
            return Certainty.REJECT
        return Certainty.UNDECIDED if Certainty.UNDECIDED in verdicts else Certainty.ACCEPT

    def sentences(self) -> tuple[str, ...]:
        """Returns a sentence for each constraint: what was certified, on how many samples, and how sure that is."""
        who = "the baseline" if self.trial < 0 else f"trial {self.trial}"
        n = min((found.n for found in self.metrics.values()), default=0)
        told = []
        for finding in self.findings:
            promise = f", {finding.promise}, wrong in at most {self.alpha:.1%} of cases" if finding.promise else ""
            what = f"{finding.constraint}: {finding.verdict.value}{promise} ({finding.found})"
            told.append(f"certified on {n:,} unseen samples: {who}: {what}")
        return tuple(told)

    def to_json(self) -> JsonObject:
        """Returns the certificate as it stands in the answer document."""
        return {
            "trial": None if self.trial < 0 else self.trial,
            "verdict": self.verdict.value,
            "alpha": self.alpha,
            "constraints": [finding.to_json() for finding in self.findings],
            "metrics": metrics_json(self.metrics),
        }
