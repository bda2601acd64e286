"""The strategy `tpe`: Optuna's tree-structured Parzen estimator, asked and told, over the tree of questions."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, assert_never

from olivelike.contracts.outcome import Failed, Measured, Refused
from olivelike.contracts.ports import Exhausted, RecipeSpace, Score, Strategy
from olivelike.contracts.recipe import Recipe
from olivelike.search.answers import Answers
from olivelike.search.unseen import Unseen

if TYPE_CHECKING:
    from optuna import Study, Trial

RETRIES = 10
"""So many times in a row the estimator may repeat itself before a new recipe is drawn at random."""

WORKS = "the recipe works"
"""The constraint that a refused or failed recipe breaks, by more than any other can be broken."""


class Tpe(Strategy):
    """Learns which answers led to good recipes, constraints first (Watanabe, arXiv:2304.11127).

    Several objectives are weighed by Pareto dominance. A recipe that breaks a constraint teaches by how much, even if
    its objectives were not measured; a refused or failed one is worse than any that was measured. Without objectives
    the constraints alone are learned from, and without those it draws at random.
    """

    def __init__(self, space: RecipeSpace, seed: int, objectives: int, budget: int) -> None:
        self._space = space
        self._objectives = objectives
        self._unseen = Unseen(space, seed)
        self._study = _study(seed, max(objectives, 1), budget)
        self._running: dict[str, Trial] = {}

    def ask(self) -> Recipe | Exhausted:
        """Returns the recipe that the estimator holds most promising among those not proposed before."""
        repeated: list[Trial] = []
        proposal: Recipe | Exhausted
        for _ in range(RETRIES):
            trial, proposal = self._suggest()
            if self._unseen.claim(proposal):
                self._running[proposal.key] = trial
                break
            # Left running meanwhile: the estimator takes running trials for bad ones and looks elsewhere.
            repeated.append(trial)
        else:
            proposal = self._elsewhere()
        for trial in repeated:
            _give_up(self._study, trial)
        return proposal

    def tell(self, recipe: Recipe, score: Score) -> None:
        """Learns what came of a recipe."""
        if trial := self._running.pop(recipe.key, None):
            _tell(self._study, trial, score, self._objectives)

    def _suggest(self) -> tuple[Trial, Recipe]:
        trial = self._study.ask()
        return trial, self._space.draw(_Suggestions(trial))

    def _elsewhere(self) -> Recipe | Exhausted:
        drawn = self._unseen.draw()
        if isinstance(drawn, Exhausted):
            return drawn
        if drawn.dials:
            self._study.enqueue_trial(dict(drawn.dials))
            self._running[drawn.recipe.key], _ = self._suggest()
        return drawn.recipe


class _Suggestions(Answers):
    """The dials as a trial turns them."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def category(self, path: str, count: int) -> int:
        return int(self._trial.suggest_categorical(path, range(count)))

    def integer(self, path: str, low: int, high: int, *, log: bool) -> int:
        return int(self._trial.suggest_int(path, low, high, log=log))

    def real(self, path: str, low: float, high: float, *, log: bool) -> float:
        return float(self._trial.suggest_float(path, low, high, log=log))


def _study(seed: int, objectives: int, budget: int) -> Study:
    import optuna

    # Optuna announces every study on standard error, at a level that a library should not use.
    if optuna.logging.get_verbosity() == optuna.logging.INFO:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
    startup = min(max(budget // 4, 5), 10)
    with warnings.catch_warnings():
        # `group`, which keeps the questions of different alternatives apart, is marked experimental since 2021.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=seed % 2**32, n_startup_trials=startup, multivariate=True, group=True, constant_liar=True
        )
    return optuna.create_study(sampler=sampler, directions=["minimize"] * objectives)


def _tell(study: Study, trial: Trial, score: Score, objectives: int) -> None:
    from optuna.trial import TrialState

    violations = _violations(score)
    for name, value in violations.items():
        trial.set_constraint(name, value)
    if objectives and len(score.objectives) == objectives and all(map(math.isfinite, score.objectives)):
        study.tell(trial, list(score.objectives))
    elif violations and not objectives:
        study.tell(trial, 0.0)
    elif any(value > 0 for value in violations.values()):
        study.tell(trial, state=TrialState.PRUNED)
    else:
        _give_up(study, trial)


def _violations(score: Score) -> dict[str, float]:
    match score.outcome:
        case Measured():
            return {name: math.inf if math.isnan(value) else value for name, value in score.violations.items()}
        case Refused() | Failed():
            return {WORKS: math.inf}
        case _ as never:
            assert_never(never)


def _give_up(study: Study, trial: Trial) -> None:
    from optuna.trial import TrialState

    study.tell(trial, state=TrialState.FAIL)
