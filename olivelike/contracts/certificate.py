"""The certificate: what was found of a model on data that no choice has looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from olivelike.contracts.figures import metrics_json
from olivelike.contracts.outcome import Measurement
from olivelike.digest import JsonObject


class Certainty(Enum):
    """What can be promised of a constraint."""

    ACCEPT = "accept"
    REJECT = "reject"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Finding:
    """One constraint on data that the search did not see: as the user wrote it, the verdict, and what was found."""

    constraint: str
    verdict: Certainty
    found: str

    def to_json(self) -> JsonObject:
        """Returns the finding as it stands in the answer document."""
        return {"constraint": self.constraint, "verdict": self.verdict.value, "found": self.found}


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

    def to_json(self) -> JsonObject:
        """Returns the certificate as it stands in the answer document."""
        return {
            "trial": None if self.trial < 0 else self.trial,
            "verdict": self.verdict.value,
            "alpha": self.alpha,
            "constraints": [finding.to_json() for finding in self.findings],
            "metrics": metrics_json(self.metrics),
        }
