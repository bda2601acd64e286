"""The trials: the strategy proposes, a recipe is made and measured until it is decided, the strategy learns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from time import monotonic

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.outcome import Failed, Measured
from olivelike.contracts.ports import Exhausted, Score, Strategy
from olivelike.contracts.recipe import Recipe
from olivelike.contracts.report import Trial
from olivelike.engine.baseline import Reference
from olivelike.engine.candidate import Candidate
from olivelike.engine.decide import Field, measure_until_decided
from olivelike.engine.desk import Desk
from olivelike.engine.events import TrialEnded
from olivelike.engine.judge import Holds, judge, standing
from olivelike.engine.select import select
from olivelike.engine.step import Made, run_recipe


@dataclass
class Trials:
    """The trials of a run so far."""

    done: tuple[Trial, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    interrupted: bool = False
    best: str = ""
    since_best: int = 0
    waiting: dict[Future[tuple[Trial, tuple[Candidate, ...]]], Recipe] = field(default_factory=dict)


def run_trials(desk: Desk, source: Artifact, baseline: Reference, start: float) -> Trials:
    """Runs trials until the strategy has none left or a stop is reached; up to `run.workers` are in flight.

    Args:
        desk: the plan and what it needs.
        source: the model.
        baseline: what candidates are compared with.
        start: the monotonic time at which the run began.
    """
    trials = Trials()
    deadline = start + desk.plan.search.time_limit
    strategy = _strategy(desk)
    pool = ThreadPoolExecutor(max_workers=desk.plan.run.workers, thread_name_prefix="trial")
    try:
        number = 0
        while True:
            while len(trials.waiting) < desk.plan.run.workers and _goes_on(desk, trials, number, deadline):
                recipe = strategy.ask()
                if isinstance(recipe, Exhausted):
                    break
                future = pool.submit(_trial, desk, source, baseline, recipe, number, trials.candidates, deadline)
                trials.waiting[future] = recipe
                number += 1
            if not trials.waiting:
                return trials
            for future in wait(trials.waiting, return_when=FIRST_COMPLETED).done:
                _learn(desk, trials, baseline, strategy, future, start)
    except KeyboardInterrupt:
        trials.interrupted = True
        return trials
    finally:
        if trials.interrupted:
            desk.executor.close()
        pool.shutdown(wait=True, cancel_futures=True)


def _strategy(desk: Desk) -> Strategy:
    search, name = desk.plan.search, desk.plan.search.strategy
    if not desk.plan.chooses:
        name = "single"
    kind = desk.registry.strategy_named(name)
    return kind(desk.plan.space, search.seed, len(desk.plan.objectives), search.max_trials)


def _goes_on(desk: Desk, trials: Trials, started: int, deadline: float) -> bool:
    """Whether another trial may begin; the first always may, so that a short time still gives an answer."""
    search = desk.plan.search
    stale = bool(search.no_improvement) and trials.since_best >= search.no_improvement
    return not started or (started < search.max_trials and monotonic() < deadline and not stale)


def _trial(
    desk: Desk,
    source: Artifact,
    baseline: Reference,
    recipe: Recipe,
    number: int,
    others: Sequence[Candidate],
    deadline: float,
) -> tuple[Trial, tuple[Candidate, ...]]:
    made = run_recipe(desk, source, recipe, number)
    if not isinstance(made, Made):
        return Trial(number, recipe, made, verdict=made.reason), ()
    outcome = measure_until_decided(Field(desk, baseline, others, deadline), made.artifact, number)
    if not isinstance(outcome, Measured):
        reason = outcome.reason if isinstance(outcome, Failed) else ""
        return Trial(number, recipe, outcome, verdict=reason), ()
    candidate = _candidate(made.artifact, recipe, number, outcome)
    judged = judge(desk.plan.constraints, outcome.metrics, baseline.metrics)
    violates = tuple(j.text for j in judged if j.holds is Holds.NO)
    undecided = tuple(j.text for j in judged if j.holds is Holds.OPEN and j.constraint.key in outcome.metrics)
    left_out = "; ".join(dict.fromkeys(outcome.not_measured.values()))
    return Trial(number, recipe, outcome, violates, undecided, left_out), (candidate,)


def _candidate(artifact: Artifact, recipe: Recipe, number: int, outcome: Measured) -> Candidate:
    size = artifact.model_bytes
    complete = not outcome.not_measured
    return Candidate(
        number, recipe, artifact.digest, artifact.kind, size, outcome.metrics, complete, outcome.unavailable
    )


def _learn(
    desk: Desk,
    trials: Trials,
    baseline: Reference,
    strategy: Strategy,
    future: Future[tuple[Trial, tuple[Candidate, ...]]],
    start: float,
) -> None:
    recipe = trials.waiting.pop(future)
    trial, candidates = future.result()
    trials.done = tuple(sorted((*trials.done, trial), key=lambda t: t.number))
    trials.candidates = (*trials.candidates, *candidates)
    strategy.tell(recipe, _score(desk, baseline, trial))
    best = _best_so_far(desk, baseline, trials)
    trials.since_best = 0 if best != trials.best else trials.since_best + 1
    trials.best = best
    total = len(trials.done) + len(trials.waiting)
    count = desk.plan.space.count() if desk.plan.chooses else 1
    ahead = desk.plan.search.max_trials if count < 0 else min(count, desk.plan.search.max_trials)
    desk.tell(TrialEnded(trial, len(trials.done), max(total, ahead), monotonic() - start, best))


def _score(desk: Desk, baseline: Reference, trial: Trial) -> Score:
    if not isinstance(trial.outcome, Measured):
        return Score((), {}, trial.outcome)
    metrics = trial.outcome.metrics
    judged = judge(desk.plan.constraints, metrics, baseline.metrics)
    violations = {j.constraint.text: j.excess for j in judged if math.isfinite(j.excess)}
    if any(objective.key not in metrics for objective in desk.plan.objectives):
        return Score((), violations, trial.outcome)
    objectives = tuple(standing(o, metrics, paired=False).interval.value for o in desk.plan.objectives)
    return Score(objectives, violations, trial.outcome)


def _best_so_far(desk: Desk, baseline: Reference, trials: Trials) -> str:
    if not trials.candidates or not desk.plan.chooses:
        return ""
    plan = desk.plan
    found = select(trials.candidates, baseline.metrics, plan.constraints, plan.objectives, plan.output.kind)
    if not found.ranked or found.status.exit_code:
        return ""
    best = found.ranked[0]
    values = [f"{o.key} {best.metrics[o.key].value:.4g}" for o in desk.plan.objectives]
    return " ".join([f"trial {best.trial} ({best.recipe})", *values])
