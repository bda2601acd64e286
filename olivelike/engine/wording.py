"""The words of a verdict: how candidates compare, with the figures that the comparison rests on."""

from __future__ import annotations

from olivelike.contracts.outcome import Measurement, Paired
from olivelike.engine.candidate import Candidate
from olivelike.plan.model import Objective


def lead(objective: Objective, winner: Candidate, leader: Candidate) -> str:
    """Returns how the winner stands in an objective: the best, or not shown worse than the best."""
    found = described(winner.metrics[objective.key])
    if winner is leader:
        return f"{'lowest' if objective.minimize else 'highest'} {objective.key}, {found}"
    return f"{objective.key} {found}, not shown worse than {leader.name}"


def distance(objective: Objective, candidate: Candidate, best: Candidate) -> str:
    """Returns how far a candidate is behind in an objective."""
    own, top = candidate.metrics[objective.key], best.metrics[objective.key]
    return f"{described(own)} against {described(top)} of {best.name}"


def tie_break(winner: Candidate, other: Candidate) -> str:
    """Returns what decided between two candidates that tie in every objective."""
    if winner.bytes != other.bytes:
        return f"{winner.name} is smaller ({winner.bytes:,} against {other.bytes:,} bytes)"
    if len(winner.recipe.steps) != len(other.recipe.steps):
        return f"{winner.name} takes fewer steps"
    return f"{winner.name} comes first in the canonical order of recipes"


def described(measurement: Measurement) -> str:
    """Returns a value with what comparisons rest on: its ratio to the baseline where there is one, else its interval."""
    text = f"{measurement.value:,.0f} bytes" if measurement.unit == "bytes" else f"{measurement.value:.4g}"
    if measurement.unit not in {"1", "bytes"}:
        text += f" {measurement.unit}"
    match measurement.versus:
        case Paired(kind="ratio", interval=ratio):
            return f"{text}, {ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}] of the baseline's"
        case _:
            exact = measurement.low == measurement.high
            return text if exact else f"{text} [{measurement.low:.4g}, {measurement.high:.4g}]"
