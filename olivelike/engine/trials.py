"""The trials: the strategy proposes, a recipe is made and measured until it is decided, the strategy learns, in order."""

from __future__ import annotations

import math
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from time import monotonic
from traceback import format_exception
from typing import TypeAlias

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.figures import brief
from olivelike.contracts.outcome import Failed, Measured
from olivelike.contracts.ports import Exhausted, Score, Strategy
from olivelike.contracts.recipe import Recipe
from olivelike.contracts.report import Stop, Trial
from olivelike.engine.baseline import Reference
from olivelike.engine.candidate import Candidate
from olivelike.engine.decide import Field, measure_until_decided
from olivelike.engine.desk import Desk
from olivelike.engine.events import TrialEnded
from olivelike.engine.judge import Holds, judge, standing
from olivelike.engine.select import select
from olivelike.engine.step import Made, run_recipe
from olivelike.errors import InputError, OlivelikeError

LOOK_AHEAD = 4
"""So many trials a strategy that learns proposes before it is told of the first of them, whatever the workers: asked in the
same state it proposes the same, and up to so many workers are busy (decision 9)."""

Tried: TypeAlias = tuple[Trial, tuple[Candidate, ...]]


@dataclass
class Trials:
    """The trials of a run so far, in the order of their numbers.

    Attributes:
        done: every trial that the strategy was told of.
        candidates: those of them that were measured.
        stopped_by: what ended the search.
        best: describes the best feasible candidate so far.
        since_best: how many trials ago that changed.
        waiting: trials that the strategy was not told of yet, by number, with their recipes.
    """

    done: tuple[Trial, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    stopped_by: Stop = Stop.ALL_TRIED
    best: str = ""
    since_best: int = 0
    waiting: dict[int, tuple[Future[Tried], Recipe]] = field(default_factory=dict)


def run_trials(desk: Desk, source: Artifact, baseline: Reference, start: float, trials: Trials) -> None:
    """Runs trials until the strategy has none left or a stop is reached; up to `run.workers` are in flight.

    What came of them is learned in the order of their numbers, so that the number of workers changes no answer.

    Args:
        desk: the plan and what it needs.
        source: the model.
        baseline: what candidates are compared with.
        start: the monotonic time at which the run began.
        trials: filled as trials end.
    """
    search = _Search(desk, source, baseline, start, _strategy(desk), trials)
    pool = ThreadPoolExecutor(max_workers=desk.plan.run.workers, thread_name_prefix="trial")
    try:
        while search.propose(pool) or trials.waiting:
            search.learn_next()
            if search.is_stale:
                trials.stopped_by = Stop.ALL_TRIED if len(trials.done) == ways(desk) else Stop.NO_IMPROVEMENT
                return
    except KeyboardInterrupt:
        trials.stopped_by = Stop.INTERRUPTED
    finally:
        if trials.waiting:  # nothing will be learned of these: what they have done so far is in the cache
            desk.executor.close()
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass
class _Search:
    desk: Desk
    source: Artifact
    baseline: Reference
    start: float
    strategy: Strategy
    trials: Trials
    number: int = 0
    ended: bool = False

    @property
    def is_stale(self) -> bool:
        """Whether too many trials in a row found nothing better."""
        most = self.desk.plan.search.no_improvement
        return bool(most) and self.trials.since_best >= most

    def propose(self, pool: ThreadPoolExecutor) -> bool:
        """Starts as many trials as there is room for; returns whether any was started."""
        before = self.number
        while not self.ended and self._has_room():
            if stop := self._stop():
                self.trials.stopped_by, self.ended = stop, True
                break
            recipe = self.strategy.ask()
            if isinstance(recipe, Exhausted):
                self.ended = True
                break
            field = Field(self.desk, self.baseline, self.trials.candidates, self._deadline)
            future = pool.submit(_guarded, field, self.source, recipe, self.number)
            self.trials.waiting[self.number] = (future, recipe)
            self.number += 1
        return self.number > before

    def learn_next(self) -> None:
        """Waits for a trial to end, and learns what came of the first one if that has ended."""
        first = min(self.trials.waiting)
        future, recipe = self.trials.waiting[first]
        if not future.done():
            running = [each for each, _ in self.trials.waiting.values() if not each.done()]
            wait(running, return_when=FIRST_COMPLETED)
        if future.done():
            trial, candidates = future.result()
            del self.trials.waiting[first]
            self._learn(recipe, trial, candidates)

    def _has_room(self) -> bool:
        if self.strategy.learns:
            return len(self.trials.waiting) < LOOK_AHEAD
        running = sum(not future.done() for future, _ in self.trials.waiting.values())
        return running < self.desk.plan.run.workers

    def _stop(self) -> Stop | None:
        """Returns why no other trial may begin; the first always may, so that a short time still gives an answer."""
        if self.number >= self.desk.plan.search.max_trials:
            return Stop.ALL_TRIED if self.number == ways(self.desk) else Stop.MAX_TRIALS
        return Stop.TIME_LIMIT if self.number and monotonic() >= self._deadline else None

    @property
    def _deadline(self) -> float:
        return self.start + self.desk.plan.search.time_limit

    def _learn(self, recipe: Recipe, trial: Trial, candidates: tuple[Candidate, ...]) -> None:
        desk, trials = self.desk, self.trials
        trials.done = (*trials.done, trial)
        trials.candidates = (*trials.candidates, *candidates)
        self.strategy.tell(recipe, _score(desk, self.baseline, trial))
        best = _best_so_far(desk, self.baseline, trials)
        trials.since_best = 0 if best != trials.best else trials.since_best + 1
        trials.best = best
        total = max(len(trials.done) + len(trials.waiting), expected_trials(desk))
        desk.tell(TrialEnded(trial, len(trials.done), total, monotonic() - self.start, best, recipe.text(desk.told)))


def ways(desk: Desk) -> int:
    """Returns how many recipes there are to try; -1 where a range is continuous."""
    return desk.plan.space.count() if desk.plan.chooses else 1


def expected_trials(desk: Desk) -> int:
    """Returns how many trials are ahead at most."""
    count, most = ways(desk), desk.plan.search.max_trials
    return most if count < 0 else min(count, most)


def _strategy(desk: Desk) -> Strategy:
    search, name = desk.plan.search, desk.plan.search.strategy
    if not desk.plan.chooses:
        name = "single"
    kind = desk.registry.strategy_named(name)
    return kind(desk.plan.space, search.seed, len(desk.plan.objectives), search.max_trials)


def _guarded(field: Field, source: Artifact, recipe: Recipe, number: int) -> Tried:
    """Does one trial; whatever breaks in it is its outcome and no other trial's."""
    try:
        return _trial(field, source, recipe, number)
    except Exception as error:  # noqa: BLE001  # the boundary of a trial
        failed = broken(error)
        return Trial(number, recipe, failed, verdict=failed.reason), ()


def broken(error: Exception) -> Failed:
    """Returns the failure that an unexpected exception of the engine's own amounts to."""
    text = str(error) if isinstance(error, OlivelikeError) else f"OL599 internal error: {type(error).__name__}: {error}"
    wrong = error.problems if isinstance(error, InputError) else ()
    return Failed(" ".join(text.split()), "", "".join(format_exception(error)), wrong)


def _trial(field: Field, source: Artifact, recipe: Recipe, number: int) -> Tried:
    desk, baseline = field.desk, field.baseline
    made = run_recipe(desk, source, recipe, number)
    if not isinstance(made, Made):
        return Trial(number, recipe, made, verdict=made.reason), ()
    outcome = measure_until_decided(field, made.artifact, number)
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
    values = [f"{o.key} {brief(best.metrics[o.key])}" for o in desk.plan.objectives]
    return ", ".join([f"trial {best.trial}", *values])
