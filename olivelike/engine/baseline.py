"""The baseline: what candidates are compared with, made and measured before the first of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.outcome import Failed, Measured, Measurement, Outcome
from olivelike.contracts.recipe import Recipe
from olivelike.contracts.space import Choice, Domain, ForkSpace
from olivelike.digest import Json
from olivelike.engine.desk import Desk
from olivelike.engine.measure import Unavailable, Values, measure
from olivelike.engine.select import BASELINE, Candidate
from olivelike.engine.step import Made, run_recipe
from olivelike.errors import InputError
from olivelike.plan.model import INPUT, NO_BASELINE


@dataclass(frozen=True, slots=True)
class Reference:
    """The measured baseline.

    Attributes:
        artifact: what candidates are compared with; the input where the workflow asks for no baseline.
        recipe: how it was made from the input.
        outcome: measured or failed.
        notes: what the user should know of it.
    """

    artifact: Artifact
    recipe: Recipe
    outcome: Outcome
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
        complete = isinstance(self.outcome, Measured) and not self.outcome.not_measured
        size = self.artifact.model_bytes
        return Candidate(BASELINE, self.recipe, self.digest, self.artifact.kind, size, self.metrics, complete)


def set_baseline(desk: Desk, source: Artifact) -> Reference:
    """Makes and measures the baseline that the plan names.

    Raises:
        InputError: the data do not fit the model; found here because the baseline is the first to read them.
    """
    if desk.plan.baseline == NO_BASELINE:
        return Reference(source, Recipe(), Measured(source.digest, {}))
    recipe, notes = _recipe(desk, source)
    made = run_recipe(desk, source, recipe, BASELINE)
    if not isinstance(made, Made):
        return Reference(source, recipe, Failed(made.reason, made.step), notes)
    return Reference(made.artifact, recipe, _measured(desk, made.artifact), notes)


def _recipe(desk: Desk, source: Artifact) -> tuple[Recipe, tuple[str, ...]]:
    """Returns how the baseline is made, and what the user should know of it.

    An input of a kind that no metric can measure (a PyTorch folder) gives way to the output of the first step that makes a
    measurable one, with its first choices.
    """
    if desk.plan.baseline != INPUT:
        return first_choices(desk, desk.plan.baseline), ()
    measurable = {kind for metric in desk.plan.metrics if metric.metric.runs for kind in metric.metric.kinds}
    if not measurable or source.kind in measurable:
        return Recipe(), ()
    steps = desk.plan.space.draw(FirstChoices()).steps
    for number, step in enumerate(steps, start=1):
        if desk.pass_named(step.pass_name).produces in measurable:
            note = f"the input is of the kind {source.kind}, which cannot be measured: the baseline is what {step.name} makes"
            return Recipe(steps[:number]), (note,)
    return Recipe(), (
        f"the input is of the kind {source.kind}, which cannot be measured, and no step makes another kind",
    )


def first_choices(desk: Desk, last: str) -> Recipe:
    """Returns the recipe of all first choices up to a step; a plan makes sure that there is no choice before it."""
    steps = desk.plan.space.draw(FirstChoices()).steps
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
    left_out: dict[str, str] = {}
    for metric in desk.plan.metrics:
        match measure(desk, metric, artifact, artifact, BASELINE):
            case Values(metrics=found):
                metrics |= found
            case Unavailable(reason=reason):
                left_out |= dict.fromkeys(metric.keys, reason)
            case Failed(input=wrong) as failed:
                if wrong:
                    raise InputError(*wrong)
                return failed
    return Measured(artifact.digest, metrics, left_out)
