"""Selecting: constraints first, then objectives in order, then the smaller, the shorter, the canonical order.

The answer is a function of the measurements alone: the same measurements always give the same winner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from olivelike.contracts.outcome import Measurement, Paired
from olivelike.contracts.recipe import Recipe
from olivelike.contracts.report import Status
from olivelike.engine.judge import Holds, Judgement, Metrics, Standing, is_paired, judge, standing
from olivelike.plan.model import Constraint, Objective

BASELINE = -1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A measured model that may be handed out.

    Attributes:
        trial: the trial's number; -1 for the baseline.
        recipe: how it was made; empty for the input.
        artifact: digest.
        kind: artifact kind.
        bytes: size of its files.
        metrics: what was measured.
        complete: whether every metric was measured.
    """

    trial: int
    recipe: Recipe
    artifact: str
    kind: str
    bytes: int
    metrics: Metrics
    complete: bool

    @property
    def name(self) -> str:
        """How reports name it."""
        return "the baseline" if self.trial == BASELINE else f"trial {self.trial}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What selection found of one candidate."""

    candidate: Candidate
    judgements: tuple[Judgement, ...]

    @property
    def feasible(self) -> bool:
        """Every constraint holds and everything was measured."""
        return self.candidate.complete and all(j.holds is Holds.YES for j in self.judgements)

    @property
    def broken(self) -> tuple[Judgement, ...]:
        """The constraints that are broken."""
        return tuple(j for j in self.judgements if j.holds is Holds.NO)

    @property
    def open(self) -> tuple[Judgement, ...]:
        """The constraints that are left open."""
        return tuple(j for j in self.judgements if j.holds is Holds.OPEN)


@dataclass(frozen=True, slots=True)
class Selection:
    """The outcome of selection.

    Attributes:
        status: feasible, infeasible or undecided.
        ranked: feasible candidates, the winner first; for an infeasible run the closest candidate alone.
        why: why the first of them and no other, or what is missed.
        verdicts: one line for each candidate, by trial number.
    """

    status: Status
    ranked: tuple[Candidate, ...]
    why: str
    verdicts: dict[int, str]


def select(
    candidates: Sequence[Candidate],
    baseline: Metrics,
    constraints: Sequence[Constraint],
    objectives: Sequence[Objective],
    kind: str,
) -> Selection:
    """Selects the model to hand out.

    Args:
        candidates: everything measured, the baseline among them where it can be handed out.
        baseline: the baseline's measurements.
        constraints: what must hold.
        objectives: what is to be made best, by priority.
        kind: only an artifact of this kind can win.
    """
    of_kind = [candidate for candidate in candidates if candidate.kind == kind]
    verdicts = [Verdict(c, judge(constraints, c.metrics, baseline)) for c in of_kind]
    pool = [v.candidate for v in verdicts if v.feasible and all(o.key in v.candidate.metrics for o in objectives)]
    lines = {v.candidate.trial: _rejection(v) for v in verdicts if not v.feasible}
    if not pool:
        return _nothing(verdicts, lines)
    ranked: list[Candidate] = []
    why = ""
    while pool:
        best, because, behind = _best(pool, objectives)
        if not ranked:
            why = because
            lines |= behind | {best.trial: f"chosen: {because}"}
        ranked.append(best)
        pool.remove(best)
    return Selection(Status.FEASIBLE, tuple(ranked), why, lines)


def pareto(
    ranked: Sequence[Candidate], objectives: Sequence[Objective], constraints: Sequence[Constraint]
) -> tuple[Candidate, ...]:
    """Returns the candidates that no other beats in every objective and constrained metric, in the given order."""
    axes = {o.key: o.minimize for o in objectives} | {c.key: c.better == "lower" for c in constraints}

    def point(candidate: Candidate) -> tuple[float, ...]:
        return tuple(candidate.metrics[key].value * (1 if lower else -1) for key, lower in sorted(axes.items()))

    points = [point(candidate) for candidate in ranked]
    return tuple(
        candidate
        for candidate, own in zip(ranked, points, strict=True)
        if not any(other != own and all(a <= b for a, b in zip(other, own, strict=True)) for other in points)
    )


def _best(pool: Sequence[Candidate], objectives: Sequence[Objective]) -> tuple[Candidate, str, dict[int, str]]:
    """Returns the best of a pool, why, and for each other one why it is behind."""
    left, leaders, behind = list(pool), [], {}
    for objective in objectives:
        before, left = left, _front(objective, left)
        leaders.append((objective, left[0]))
        for candidate in before:
            if candidate not in left:
                behind[candidate.trial] = f"behind on {objective.key}: {_distance(objective, candidate, left[0])}"
        if len(left) == 1:
            break
    winner = min(left, key=_order)
    because = [_lead(objective, winner, leader) for objective, leader in leaders]
    for candidate in left:
        if candidate is not winner:
            behind[candidate.trial] = f"ties with {winner.name}; {_tie_break(winner, candidate)}"
    if len(left) > 1:
        names = ", ".join(str(c.trial) if c.trial != BASELINE else "the baseline" for c in left if c is not winner)
        because.append(
            f"ties with {names}, and {_tie_break(winner, min((c for c in left if c is not winner), key=_order))}"
        )
    return winner, "; ".join(text for text in because if text), behind


def _front(objective: Objective, pool: Sequence[Candidate]) -> list[Candidate]:
    """Returns the candidates not shown worse than the best one in an objective, the best first."""
    places = standings_of(objective, pool)
    best = min(pool, key=lambda c: (places[c.trial].interval.value, _order(c)))
    left = [c for c in pool if places[best.trial].ties(places[c.trial]) or _within(objective, c, best)]
    return sorted(left, key=lambda c: (places[c.trial].interval.value, _order(c)))


def _lead(objective: Objective, winner: Candidate, leader: Candidate) -> str:
    """Returns how the winner stands in an objective: the best, or not shown worse than the best."""
    found = _described(winner.metrics[objective.key])
    if winner is leader:
        return f"{'lowest' if objective.minimize else 'highest'} {objective.key}, {found}"
    return f"{objective.key} {found}, not shown worse than {leader.name}"


def _within(objective: Objective, candidate: Candidate, best: Candidate) -> bool:
    """Whether a candidate is as good as the best one by the tolerance that the user gave."""
    own, top = candidate.metrics[objective.key].value, best.metrics[objective.key].value
    worse = own - top if objective.minimize else top - own
    return worse <= (abs(top) * objective.within if objective.within_relative else objective.within)


def standings_of(objective: Objective, pool: Sequence[Candidate]) -> dict[int, Standing]:
    """Returns each candidate's place in an objective, by trial number.

    Compared by the paired change against the baseline where the metric makes one; else by the plain values.
    """
    paired = any(is_paired(objective, c.metrics) for c in pool)
    return {c.trial: standing(objective, c.metrics, paired=paired) for c in pool}


def _nothing(verdicts: Sequence[Verdict], lines: dict[int, str]) -> Selection:
    candidates = [v for v in verdicts if v.candidate.trial != BASELINE] or list(verdicts)
    undecided = [v for v in verdicts if not v.broken and (v.open or not v.candidate.complete)]
    status = Status.UNDECIDED if undecided else Status.INFEASIBLE
    if not candidates:
        return Selection(Status.INFEASIBLE, (), "no candidate of the kind asked for", lines)
    closest = min(undecided or candidates, key=_distance_to_feasible)
    missed = "; ".join(j.text for j in (closest.broken or closest.open)) or "not everything was measured"
    return Selection(status, (closest.candidate,), f"{closest.candidate.name} comes closest: {missed}", lines)


def _distance_to_feasible(verdict: Verdict) -> tuple[float, int, bytes]:
    excess = sum(max(0.0, j.excess) for j in verdict.judgements)
    return excess, verdict.candidate.bytes, verdict.candidate.recipe.order


def _rejection(verdict: Verdict) -> str:
    if verdict.broken:
        return "; ".join(f"breaks {j.text}" for j in verdict.broken)
    if verdict.open and verdict.candidate.complete:
        return "; ".join(f"undecided: {j.text}" for j in verdict.open)
    return ""


def _distance(objective: Objective, candidate: Candidate, best: Candidate) -> str:
    own, top = candidate.metrics[objective.key], best.metrics[objective.key]
    return f"{_described(own)} against {_described(top)} of {best.name}"


def _tie_break(winner: Candidate, other: Candidate) -> str:
    if winner.bytes != other.bytes:
        return f"{winner.name} is smaller ({winner.bytes:,} against {other.bytes:,} bytes)"
    if len(winner.recipe.steps) != len(other.recipe.steps):
        return f"{winner.name} takes fewer steps"
    return f"{winner.name} comes first in the canonical order of recipes"


def _order(candidate: Candidate) -> tuple[int, int, bytes, int]:
    return candidate.bytes, len(candidate.recipe.steps), candidate.recipe.order, candidate.trial


def _described(measurement: Measurement) -> str:
    """Returns a value with what comparisons rest on: its ratio to the baseline where there is one, else its interval."""
    unit = "" if measurement.unit == "1" else f" {measurement.unit}"
    text = f"{measurement.value:.4g}{unit}"
    match measurement.versus:
        case Paired(kind="ratio", interval=ratio):
            return f"{text}, {ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}] of the baseline's"
        case _:
            exact = measurement.low == measurement.high
            return text if exact else f"{text} [{measurement.low:.4g}, {measurement.high:.4g}]"
