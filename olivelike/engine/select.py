"""Selecting: constraints first, then objectives in order, then the smaller, the shorter, the canonical order.

The answer is a function of the measurements alone: the same measurements always give the same winner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, isinf

from olivelike.contracts.report import Status
from olivelike.engine.candidate import BASELINE, Candidate
from olivelike.engine.judge import Holds, Judgement, Metrics, Standing, is_paired, judge, standing
from olivelike.engine.wording import distance, lead, outright, tie_break
from olivelike.plan.model import Constraint, Objective

ONLY_ONE = "the only one that holds every constraint"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What selection found of one candidate.

    Attributes:
        candidate: whom it is about.
        judgements: one for each constraint.
        missing: objectives that were not measured.
    """

    candidate: Candidate
    judgements: tuple[Judgement, ...]
    missing: tuple[str, ...]

    @property
    def feasible(self) -> bool:
        """Every constraint holds, every objective is known, and nothing was left out because it could not win."""
        return self.candidate.complete and not self.missing and all(j.holds is Holds.YES for j in self.judgements)

    @property
    def broken(self) -> tuple[Judgement, ...]:
        """The constraints that are broken."""
        return tuple(j for j in self.judgements if j.holds is Holds.NO)

    @property
    def open(self) -> tuple[Judgement, ...]:
        """The constraints that are left open."""
        return tuple(j for j in self.judgements if j.holds is Holds.OPEN)

    @property
    def undecided(self) -> bool:
        """Nothing rules the candidate out, but not all is known."""
        return not self.broken and bool(self.open or self.missing or not self.candidate.complete)

    @property
    def lacks(self) -> str:
        """What keeps the candidate from being feasible."""
        texts = [j.text for j in (self.broken or self.open)] or [f"{key}: not measured" for key in self.missing]
        return "; ".join(texts) or "not everything was measured"

    @property
    def rejection(self) -> str:
        """One line for the report; empty where the trial itself says what was left out."""
        if self.broken:
            return "; ".join(f"breaks {j.text}" for j in self.broken)
        return f"undecided: {self.lacks}" if self.candidate.complete else ""


@dataclass(frozen=True, slots=True)
class Selection:
    """The outcome of selection.

    Attributes:
        status: feasible, infeasible or undecided.
        ranked: feasible candidates, the winner first; for an infeasible run the closest candidate alone.
        why: why the first of them and no other, or what is missed.
        verdicts: one line for each candidate, by trial number.
        open: candidates that nothing rules out, but of which not all is known.
        refused: whether better ones than the first were refused on data that the search did not see.
    """

    status: Status
    ranked: tuple[Candidate, ...]
    why: str
    verdicts: dict[int, str]
    open: tuple[Candidate, ...] = ()
    refused: bool = False


def select(
    candidates: Sequence[Candidate],
    baseline: Metrics,
    constraints: Sequence[Constraint],
    objectives: Sequence[Objective],
    kind: str = "",
) -> Selection:
    """Selects the model to hand out.

    Args:
        candidates: everything measured, the baseline among them where it can be handed out.
        baseline: the baseline's measurements.
        constraints: what must hold.
        objectives: what is to be made best, by priority.
        kind: only an artifact of this kind can win; empty for any.
    """
    of_kind = [candidate for candidate in candidates if kind in {"", candidate.kind}]
    verdicts = [
        Verdict(c, judge(constraints, c.metrics, baseline, c.undefined), _missing(c, objectives)) for c in of_kind
    ]
    pool = [v.candidate for v in verdicts if v.feasible]
    lines = {v.candidate.trial: v.rejection for v in verdicts if not v.feasible}
    lines |= {c.trial: f"of the kind {c.kind}, asked for {kind}" for c in candidates if c not in of_kind}
    if not pool:
        return _nothing(verdicts, lines)
    winner, why, behind = _best(pool, objectives)
    if winner.trial == BASELINE and (open_ones := _could_win(verdicts, pool, objectives)):
        return _left_open(open_ones, lines)
    ranked = [winner]
    while pool := [candidate for candidate in pool if candidate is not ranked[-1]]:
        ranked.append(_best(pool, objectives)[0])
    lines |= behind | {winner.trial: f"chosen: {why}"}
    return Selection(Status.FEASIBLE, tuple(ranked), why, lines, tuple(v.candidate for v in verdicts if v.undecided))


def _could_win(
    verdicts: Sequence[Verdict], pool: Sequence[Candidate], objectives: Sequence[Objective]
) -> list[Verdict]:
    """Returns those of whom it is open whether they hold the constraints, and who would win if they did."""
    open_ones = [v for v in verdicts if v.undecided and v.candidate.complete and not v.missing]
    return [v for v in open_ones if _best([*pool, v.candidate], objectives)[0] is v.candidate]


def _left_open(open_ones: Sequence[Verdict], lines: dict[int, str]) -> Selection:
    """Returns that it is undecided: handing the baseline out would hide that a better model may hold everything."""
    closest = min(open_ones, key=_distance_to_feasible)
    names = f"{closest.candidate.name} would win if it held every constraint, and is undecided: {closest.lacks}"
    more = f" (and {len(open_ones) - 1} more)" if len(open_ones) > 1 else ""
    why = f"{names}{more}; more labels or runs would decide, and nothing else beats the baseline"
    return Selection(Status.UNDECIDED, (closest.candidate,), why, lines)


def _missing(candidate: Candidate, objectives: Sequence[Objective]) -> tuple[str, ...]:
    return tuple(objective.key for objective in objectives if objective.key not in candidate.metrics)


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
    left, behind = list(pool), dict[int, str]()
    because: list[str] = []
    for objective in objectives:
        before, left = left, _front(objective, left)
        because.append(lead(objective, left, narrows=bool(because)))
        for candidate in before:
            if candidate not in left:
                behind[candidate.trial] = f"behind on {objective.key}: {distance(objective, candidate, left[0])}"
        if len(left) == 1:
            break
    winner = min(left, key=_order)
    others = [candidate for candidate in left if candidate is not winner]
    for candidate in others:
        how = "ties with" if objectives else "holds too, as does"
        behind[candidate.trial] = f"{how} {winner.name}; {tie_break(winner, candidate)}"
    if others:
        because.append(outright(winner, left, min(others, key=_order), by_objective=bool(objectives)))
    return winner, "; ".join(because) or ONLY_ONE, behind


def _front(objective: Objective, pool: Sequence[Candidate]) -> list[Candidate]:
    """Returns the candidates that none other is shown to beat in an objective, the best first."""
    places = standings_of(objective, pool)
    left = [c for c in pool if not any(is_behind(objective, c, rival, places) for rival in pool)]
    return sorted(left, key=lambda c: (places[c.trial].interval.value, _order(c)))


def is_behind(
    objective: Objective, candidate: Candidate, rival: Candidate, places: Mapping[int, Standing] | None = None
) -> bool:
    """Whether a candidate is shown to be worse than a rival by more than the tolerance that the user gave."""
    known = places or standings_of(objective, [candidate, rival])
    return known[rival.trial].beats(known[candidate.trial]) and not _within(objective, candidate, rival)


def _within(objective: Objective, candidate: Candidate, rival: Candidate) -> bool:
    """Whether a candidate is as good as a rival by the tolerance that the user gave."""
    own, top = candidate.metrics[objective.key].value, rival.metrics[objective.key].value
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
    if not candidates:
        return Selection(Status.INFEASIBLE, (), "no candidate of the kind asked for", lines)
    undecided = [v for v in candidates if v.undecided]
    closest = min(undecided or candidates, key=_distance_to_feasible)
    status = Status.UNDECIDED if any(v.undecided for v in verdicts) else Status.INFEASIBLE
    return Selection(status, (closest.candidate,), f"{closest.candidate.name} comes closest: {closest.lacks}", lines)


def _distance_to_feasible(verdict: Verdict) -> tuple[int, float, int, bytes]:
    missed = [max(0.0, j.excess) for j in verdict.judgements]
    unknown = sum(map(isinf, missed))  # apart from the sum: one unknown value would make all others equal
    return unknown, sum(filter(isfinite, missed)), verdict.candidate.bytes, verdict.candidate.recipe.order


def _order(candidate: Candidate) -> tuple[int, int, bytes, int]:
    return candidate.bytes, len(candidate.recipe.steps), candidate.recipe.order, candidate.trial
