"""The words of a verdict: how candidates compare, with the figures that the comparison rests on."""

from __future__ import annotations

from collections.abc import Sequence

from olivelike.contracts.figures import brief
from olivelike.contracts.outcome import Measurement, Paired
from olivelike.engine.candidate import BASELINE, Candidate
from olivelike.engine.judge import NO_DIFFERENCE
from olivelike.plan.model import Objective


def lead(objective: Objective, best: Sequence[Candidate], *, narrows: bool) -> str:
    """Returns who is best in an objective: one, or several that cannot be told apart.

    Args:
        objective: what was to be made best.
        best: those that none other is shown to beat.
        narrows: whether an earlier objective has left only some of the candidates.
    """
    which = f"{'lowest' if objective.minimize else 'highest'} {objective.key}{' of these' if narrows else ''}"
    if len(best) == 1:
        return f"{which}: {brief(best[0].metrics[objective.key])}"
    if objective.within:
        how = "are as good within the tolerance"
    else:
        how = "cannot be told apart"
        if any(_is_timed(candidate.metrics[objective.key]) for candidate in best):
            how += f" (their intervals overlap, or come within {NO_DIFFERENCE:.0%})"
    return f"{which}: {_listed(best)} {how}"


def outright(winner: Candidate, tied: Sequence[Candidate], second: Candidate, *, by_objective: bool) -> str:
    """Returns what decided between candidates that nothing measured decides between.

    Args:
        winner: who is handed out.
        tied: everyone left, the winner among them.
        second: whom the winner was closest to.
        by_objective: whether an objective has already named those that are left.
    """
    if winner.bytes != second.bytes:
        rest = f"{winner.name} is the smallest of them ({winner.bytes:,} bytes, the next has {second.bytes:,})"
    elif len(winner.recipe.steps) != len(second.recipe.steps):
        rest = f"{winner.name} takes the fewest steps"
    else:
        rest = f"{winner.name} comes first in the fixed order of recipes"
    return rest if by_objective else f"{_listed(tied)} hold every constraint; {rest}"


def distance(objective: Objective, candidate: Candidate, best: Candidate) -> str:
    """Returns how far a candidate is behind in an objective."""
    own, top = candidate.metrics[objective.key], best.metrics[objective.key]
    return f"{brief(own)} against {brief(top)} of {best.name}"


def tie_break(winner: Candidate, other: Candidate) -> str:
    """Returns what decided between two candidates that tie in every objective."""
    if winner.bytes != other.bytes:
        return f"{winner.name} is smaller ({winner.bytes:,} against {other.bytes:,} bytes)"
    if len(winner.recipe.steps) != len(other.recipe.steps):
        return f"{winner.name} takes fewer steps"
    return f"{winner.name} comes first in the fixed order of recipes"


def _is_timed(measurement: Measurement) -> bool:
    return isinstance(measurement.versus, Paired) and measurement.versus.kind == "ratio"


def _listed(candidates: Sequence[Candidate]) -> str:
    """Returns names as a sentence has them: `the baseline and trials 3, 4 and 9`."""
    numbers = [str(number) for number in sorted(c.trial for c in candidates) if number != BASELINE]
    names = ["the baseline"] if len(numbers) < len(candidates) else []
    if numbers:
        many = f"trials {', '.join(numbers[:-1])} and {numbers[-1]}" if len(numbers) > 1 else f"trial {numbers[0]}"
        names.append(many)
    return " and ".join(names)
