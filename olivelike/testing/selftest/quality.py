"""Quality with a planted truth: models that lose more than allowed must not pass, with or without choosing the best of many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.contracts.certificate import Certainty, Certificate
from olivelike.contracts.metric import Prospect
from olivelike.contracts.outcome import Measurement
from olivelike.contracts.recipe import Recipe
from olivelike.engine.candidate import Candidate
from olivelike.engine.certified import first_accepted
from olivelike.engine.certify import finding_of
from olivelike.engine.goals import Goals
from olivelike.engine.judge import Holds, judge
from olivelike.evaluate.quality.bounded_scores import mean_score, stops_when_out
from olivelike.evaluate.quality.side_by_side import Observed, Rows, looks
from olivelike.plan.model import Constraint, Rule
from olivelike.testing.measure_context import MemoryContext
from olivelike.testing.selftest.rates import Rate, most_errors

if TYPE_CHECKING:
    import numpy as np

NAME, COLUMN = "top1", "right"
LIMIT = Constraint(f"accuracy.{NAME}", Rule.MAX_DROP, 0.01, False, "higher", "accuracy max_drop 0.01")
SAMPLES, FEW = 4_000, 1_024
TRUE_DROP, CLEAR_DROP, SMALL_DROP = 0.012, 0.06, 0.001
GAINED = 0.008
ACCURACY = 0.92
RIVALS = 10
TRIES, MOST_FALSE = 400, 28
"""5 % of 400, and its sampling error."""


def quality_rates(tries: int, seed: int) -> Iterator[Rate]:
    """Yields the rates of verdicts on accuracy: false acceptance, power, early rejection, and the best of ten.

    Samples are drawn with a planted drop and go through what measures an accuracy: looks while samples come in, an end as soon
    as the candidate is out, the final interval, the judge.
    """
    import numpy as np

    draw = np.random.default_rng(seed)
    most = most_errors(tries, TRIES, MOST_FALSE)
    passed = sum(_verdict(draw, TRUE_DROP)[0] is Holds.YES for _ in range(tries))
    yield Rate(f"a true drop of {TRUE_DROP} passed a limit of {LIMIT.amount}", passed, tries, most=most)
    passed = sum(_verdict(draw, SMALL_DROP)[0] is Holds.YES for _ in range(tries))
    yield Rate(f"a true drop of {SMALL_DROP} passed it", passed, tries, least=round(0.9 * tries))
    found = [_verdict(draw, CLEAR_DROP) for _ in range(tries)]
    early = sum(holds is Holds.NO and seen <= FEW for holds, seen in found)
    name = f"a true drop of {CLEAR_DROP} was rejected on {FEW:,} of {SAMPLES:,} samples or fewer"
    yield Rate(name, early, tries, least=round(0.95 * tries))
    chosen, certified = _best_of_many(draw, tries)
    what = f"the best of {RIVALS}, each with a true drop of {LIMIT.amount}, the limit itself"
    yield Rate(f"{what}, passed on the samples it was chosen by", chosen, tries)
    yield Rate(f"{what}, or the second best, passed when certified on others", certified, tries, most=most)


def _verdict(draw: np.random.Generator, drop: float) -> tuple[Holds, int]:
    """Returns the verdict on a candidate with a true drop, and how many samples it took."""
    own, other = _drawn(draw, drop, SAMPLES)
    goals = Goals((LIMIT,), (), {LIMIT.key: _measured(other, {})})

    def held_against(values: dict[str, Measurement]) -> Prospect:
        return goals.prospect({f"accuracy.{name}": value for name, value in values.items()})

    context = MemoryContext(Path(), held_against=held_against)  # type: ignore[arg-type]  # a mapping there
    out = stops_when_out(NAME, COLUMN, context)
    for look in looks(SAMPLES):
        seen = ({COLUMN: own[COLUMN][:look]}, {COLUMN: other[COLUMN][:look]})
        if out(*seen):
            return _judged(mean_score(Observed(*seen, look, False), COLUMN), goals), look
    return _judged(_measured(own, other), goals), SAMPLES


def _judged(found: Measurement, goals: Goals) -> Holds:
    [judgement] = judge(goals.constraints, {LIMIT.key: found}, goals.baseline)
    return judgement.holds


def _measured(own: Rows, other: Rows) -> Measurement:
    return mean_score(Observed(own, other, len(own[COLUMN]), True), COLUMN)


def _drawn(draw: np.random.Generator, drop: float, count: int) -> tuple[Rows, Rows]:
    """Draws which samples a candidate and the baseline get right: some only the one, more only the other."""
    kinds = draw.random(count)
    lost, gained = kinds < drop + GAINED, kinds > 1 - GAINED
    both = draw.random(count) < ACCURACY
    return {COLUMN: (both | gained) & ~lost}, {COLUMN: (both | lost) & ~gained}


def _best_of_many(draw: np.random.Generator, tries: int) -> tuple[int, int]:
    """Returns how often the best of ten passed on the samples it was chosen by, and was certified on others.

    All ten lose exactly what the limit allows, so that passing one of them is as likely to be wrong as it can be. Whether the
    best pass by the first samples or not, they are certified, the second where the first was not accepted.
    """
    passed = certified = 0
    for _ in range(tries):
        measured = [_measured(*_drawn(draw, LIMIT.amount, SAMPLES)) for _ in range(RIVALS)]
        best = max(measured, key=lambda found: found.value)
        passed += _judged(best, Goals((LIMIT,), (), {LIMIT.key: best})) is Holds.YES
        certified += _is_certified(draw)
    return passed, certified


def _is_certified(draw: np.random.Generator) -> bool:
    """Whether one of the two best is accepted on samples of its own, by the engine's own rule (`engine.certified`)."""

    def certified_at(candidate: Candidate, alpha: float) -> Certificate:
        own, other = _drawn(draw, LIMIT.amount, SAMPLES)
        found = mean_score(Observed(own, other, SAMPLES, True, 1 - 2 * alpha), COLUMN)
        [judgement] = judge((LIMIT,), {LIMIT.key: found}, {LIMIT.key: _measured(other, {})})
        return Certificate(candidate.trial, alpha, (finding_of(judgement),), {LIMIT.key: found})

    ranked = [Candidate(number, Recipe(), "", "", 0, {}, True) for number in range(RIVALS)]
    tried = first_accepted(ranked, certified_at, certain=True)
    return tried[-1].verdict is Certainty.ACCEPT
