"""The baseline: what candidates are compared with, made and measured before the first of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import cast

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.outcome import Failed, Measured, Measurement, Outcome
from olivelike.contracts.recipe import Recipe
from olivelike.contracts.space import Choice, Domain, ForkSpace
from olivelike.digest import Json
from olivelike.engine.candidate import BASELINE, Candidate
from olivelike.engine.desk import Desk
from olivelike.engine.judge import NO_DIFFERENCE
from olivelike.engine.measure import Unavailable, Values, measure
from olivelike.engine.step import Made, run_recipe
from olivelike.errors import InputError, MeasureError, fail
from olivelike.evaluate.sessions.batches import NOT_FINITE
from olivelike.plan.model import INPUT, NO_BASELINE, Plan

ITSELF = "against_its_copy"
TOLD_APART = 0.03


@dataclass(frozen=True, slots=True)
class Reference:
    """The measured baseline.

    Attributes:
        artifact: what candidates are compared with; the input where there is no baseline.
        recipe: how it was made from the input.
        outcome: measured or failed.
        usable: whether candidates can be compared with it and it can be handed out itself.
        notes: what the user should know of it.
    """

    artifact: Artifact
    recipe: Recipe
    outcome: Outcome
    usable: bool
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The baseline's artifact digest."""
        return self.artifact.digest

    @property
    def metrics(self) -> Mapping[str, Measurement]:
        """What was measured of it; empty where it failed."""
        return self.outcome.metrics if isinstance(self.outcome, Measured) else {}

    @property
    def candidate(self) -> Candidate:
        """The baseline as it stands in selection: handed out when nothing beats it."""
        size = self.artifact.model_bytes
        return Candidate(BASELINE, self.recipe, self.digest, self.artifact.kind, size, self.metrics, True)


def set_baseline(desk: Desk, source: Artifact) -> Reference:
    """Makes the baseline that the plan names, and measures it where there is anything to choose.

    A baseline that fails ends no run: candidates go without comparison then, and constraints that compare stay open.

    Raises:
        InputError: the data do not fit the model; found here because the baseline is the first to read them.
        MeasureError: OL505, the input model itself gives NaN or infinities on the data.
    """
    if desk.plan.baseline == NO_BASELINE:
        return Reference(source, Recipe(), Measured(source.digest, {}), False)
    recipe, notes = baseline_recipe(desk.plan, source.kind)
    made = run_recipe(desk, source, recipe, BASELINE)
    if not isinstance(made, Made):
        return _failed(source, recipe, Failed(made.reason, made.step), notes)
    if not desk.plan.chooses:
        return Reference(made.artifact, recipe, Measured(made.artifact.digest, {}), True, notes)
    outcome = _measured(desk, made.artifact)
    if isinstance(outcome, Failed):
        if not recipe.steps:
            _check_own_outputs(outcome)
        return _failed(made.artifact, recipe, outcome, notes)
    return Reference(made.artifact, recipe, outcome, True, (*notes, *noise_notes(outcome)))


def _check_own_outputs(failed: Failed) -> None:
    """Ends a run whose input model gives no numbers: every candidate is made of it, and none can do better."""
    if found := NOT_FINITE.search(failed.reason):
        claim = f"{failed.step}: {found.group()}: it is the input model that gives them, before any step"
        raise fail(
            MeasureError, "OL505", claim, hint="check its weights, and whether the data are prepared as it expects"
        )


def noise_notes(outcome: Outcome) -> tuple[str, ...]:
    """Returns what the baseline, timed beside its own copy, tells of a machine too noisy to show a difference of 3 %."""
    notes: dict[str, None] = {}
    metrics = outcome.metrics if isinstance(outcome, Measured) else {}
    for key, measurement in metrics.items():
        apart = measurement.details.get(ITSELF)
        if isinstance(apart, dict):
            low, high = cast("float", apart["low"]), cast("float", apart["high"])
            if log(high / low) / 2 + NO_DIFFERENCE > TOLD_APART:
                name = key.partition(".")[0]
                found = (
                    f"{name}: the machine is too noisy to tell {TOLD_APART:.0%} apart: the baseline beside its own copy"
                )
                notes[f"{found} came out at {low:.3f} to {high:.3f} times itself"] = None
    return tuple(notes)


def _failed(artifact: Artifact, recipe: Recipe, failed: Failed, notes: tuple[str, ...]) -> Reference:
    note = f"OL505 the baseline cannot be measured, so nothing is compared with it: {failed.reason}"
    return Reference(artifact, recipe, failed, False, (*notes, note))


def baseline_recipe(plan: Plan, source_kind: str) -> tuple[Recipe, tuple[str, ...]]:
    """Returns how the baseline is made of an input of a kind, and what the user should know of it.

    An input of a kind that no metric can measure (a PyTorch folder) gives way to the output of the first step that makes a
    measurable one of it, with its first choices.

    Raises:
        InputError: OL112, no step makes anything measurable of the input.
    """
    if plan.baseline == NO_BASELINE:
        return Recipe(), ()
    if plan.baseline != INPUT:
        return _first_choices(plan, plan.baseline), ()
    measurable = {kind for metric in plan.metrics if metric.metric.runs for kind in metric.metric.kinds}
    if not measurable or source_kind in measurable:
        return Recipe(), ()
    steps, kind = plan.space.draw(FirstChoices()).steps, source_kind
    for number, step in enumerate(steps, start=1):
        work = plan.passes[step.pass_name]
        kind = work.produces if kind in work.accepts else kind
        if kind in measurable:
            note = f"the input is of the kind {source_kind}, which cannot be measured: the baseline is what {step.name} makes"
            return Recipe(steps[:number]), (note,)
    claim = f"the input is of the kind {source_kind}, which cannot be measured, and no step makes another of it"
    raise fail(InputError, "OL112", claim, path="passes", hint="begin with a pass that captures the model")


def _first_choices(plan: Plan, last: str) -> Recipe:
    """Returns the recipe of all first choices up to a step; a plan makes sure that there is no choice before it."""
    steps = plan.space.draw(FirstChoices()).steps
    names = [step.name for step in steps]
    return Recipe(steps[: names.index(last) + 1])


class FirstChoices:
    """Takes the first choice everywhere."""

    def parameter(self, path: str, domain: Domain) -> Json:
        """Returns the first value of a domain."""
        del path
        return domain.values[0] if isinstance(domain, Choice) else domain.low

    def alternative(self, path: str, fork: ForkSpace) -> int:
        """Returns the first alternative."""
        del path, fork
        return 0


def _measured(desk: Desk, artifact: Artifact) -> Outcome:
    metrics: dict[str, Measurement] = {}
    unavailable: dict[str, str] = {}
    for metric in desk.plan.metrics:
        match measure(desk, metric, artifact, artifact, BASELINE):
            case Values(metrics=found, undefined=undefined):
                metrics |= found
                unavailable |= undefined
            case Unavailable(reason=reason):
                unavailable |= dict.fromkeys(metric.keys, reason)
            case Failed(input=wrong) as failed:
                if wrong:
                    raise InputError(*wrong)
                return failed
    return Measured(artifact.digest, metrics, {}, unavailable)
