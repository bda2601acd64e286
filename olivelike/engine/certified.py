"""What of a selection holds on data that no choice has looked at, and what is handed out where the best does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf

from olivelike.contracts.certificate import Certainty, Certificate
from olivelike.contracts.report import Status
from olivelike.engine.baseline import Reference
from olivelike.engine.candidate import BASELINE, Candidate
from olivelike.engine.certify import ALPHA, certified_constraints, certify, not_accepted
from olivelike.engine.desk import Desk
from olivelike.engine.select import Selection

MOST_TRIED = 2
"""How many candidates are certified at most where one is handed out: accepting the second because the first was not accepted
is a second chance to err, and takes its share of the error rate."""
WITHOUT_ERROR = "the baseline loses nothing against itself, and holds"


def certified(desk: Desk, selection: Selection, baseline: Reference) -> tuple[Selection, tuple[Certificate, ...]]:
    """Returns a selection with only those at its head that hold on data which the search did not see.

    Where one model is handed out, the two best are tried, then the baseline if it is feasible: what only compares with the
    baseline is certain of itself, and costs no error. This takes as long as it takes: the time limit is the search's.

    Args:
        desk: the plan and what it needs.
        selection: feasible by the data that the search saw.
        baseline: what constraints compare with.
    """
    desk = replace(desk, deadline=inf)
    certain = all(constraint.rule.compares for constraint in certified_constraints(desk))
    if desk.plan.output.keep == "best":
        each = _first_accepted(desk, selection.ranked, baseline, certain=certain)
    else:
        costly = [c for c in selection.ranked if c.trial != BASELINE or not certain]
        alpha = ALPHA / max(len(costly), 1)
        each = tuple(certify(desk, candidate, baseline, alpha) for candidate in selection.ranked)
    accepted = {certificate.trial for certificate in each if certificate.verdict is Certainty.ACCEPT}
    refused = {c.trial: not_accepted(c) for c in each if c.trial not in accepted}
    if not accepted:
        return _none(selection, each, refused), each
    left = tuple(c for c in selection.ranked if c.trial in accepted)
    why = _why(selection, left[0], refused)
    verdicts = selection.verdicts | refused | {left[0].trial: f"chosen: {why}"}
    changed = left[0] is not selection.ranked[0]
    return replace(selection, ranked=left, why=why, verdicts=verdicts, refused=changed), each


def _first_accepted(
    desk: Desk, ranked: Sequence[Candidate], baseline: Reference, *, certain: bool
) -> tuple[Certificate, ...]:
    """Certifies candidates, the best first, until one is accepted."""
    own = [candidate for candidate in ranked if candidate.trial == BASELINE]
    alpha = ALPHA / (MOST_TRIED + (1 if own and not certain else 0))
    costly = [candidate for candidate in ranked if candidate.trial != BASELINE][:MOST_TRIED]
    certificates: list[Certificate] = []
    for candidate in (each for each in ranked if each in costly or each in own):
        certificates.append(certify(desk, candidate, baseline, alpha))
        if certificates[-1].verdict is Certainty.ACCEPT:
            break
    return tuple(certificates)


def _why(selection: Selection, first: Candidate, refused: dict[int, str]) -> str:
    if first is selection.ranked[0]:
        return selection.why
    if first.trial == BASELINE:
        names = _listed([c.name for c in selection.ranked if c.trial in refused])
        return f"{names} not accepted on data that the search did not see; {WITHOUT_ERROR}{_lost(selection)}"
    return f"best of those certified; {first.name} holds on data that the search did not see{_lost(selection)}"


def _none(selection: Selection, each: Sequence[Certificate], refused: dict[int, str]) -> Selection:
    """Returns that nothing is handed out: infeasible only where nothing is left that might hold."""
    untried = [c for c in selection.ranked if c.trial not in refused]
    rejected = not untried and not selection.open and all(c.verdict is Certainty.REJECT for c in each)
    closest = selection.ranked[0]
    why = f"{closest.name} comes closest: {refused[closest.trial]}{_lost(selection)}"
    if untried:
        why += f"; {len(untried)} more hold on the data that the search saw, and were not certified"
    status = Status.INFEASIBLE if rejected else Status.UNDECIDED
    verdicts = selection.verdicts | {c.trial: "not certified" for c in untried} | refused
    return replace(selection, status=status, ranked=(closest,), why=why, verdicts=verdicts)


def _lost(selection: Selection) -> str:
    """Returns what to do for candidates that were not measured because of one which then was not accepted."""
    lost = [candidate for candidate in selection.open if not candidate.complete]
    if not lost:
        return ""
    return f"; {len(lost)} that might hold were left at a better one that does not: run with search.measure=all"


def _listed(names: Sequence[str]) -> str:
    return f"{names[0]} was" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} were"
