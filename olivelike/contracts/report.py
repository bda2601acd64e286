"""The report: all outcomes, the choice, why, and what it cost. `to_json` is the versioned answer document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import assert_never

from olivelike.contracts.certificate import Certificate
from olivelike.contracts.figures import metrics_json
from olivelike.contracts.outcome import Failed, Measured, Measurement, Outcome, Refused
from olivelike.contracts.recipe import Recipe
from olivelike.digest import Json, JsonObject


class Status(Enum):
    """How a run ended."""

    FEASIBLE = "feasible"
    BUILT = "built"
    INFEASIBLE = "infeasible"
    UNDECIDED = "undecided"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def exit_code(self) -> int:
        """The exit code of the command line."""
        return {"feasible": 0, "built": 0, "infeasible": 3, "undecided": 4, "failed": 5, "interrupted": 130}[self.value]


@dataclass(frozen=True, slots=True)
class Trial:
    """One recipe and what came of it.

    Attributes:
        number: from 0, in the order of proposal.
        recipe: what was tried.
        outcome: what came of it.
        violates: constraints (as the user would write them) that it breaks.
        undecided: constraints that its intervals leave open.
        verdict: one line: chosen, or why not.
    """

    number: int
    recipe: Recipe
    outcome: Outcome
    violates: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    verdict: str = ""

    def to_json(self) -> JsonObject:
        """Returns the trial as it stands in the answer document."""
        result: JsonObject = {
            "number": self.number,
            "steps": [step.to_json() for step in self.recipe.steps],
            "reason": None,
            "metrics": {},
            "violates": list(self.violates),
            "undecided": list(self.undecided),
            "not_measured": {},
            "verdict": self.verdict,
        }
        match self.outcome:
            case Measured(artifact=artifact, metrics=metrics, not_measured=left_out, unavailable=unavailable):
                result |= {"outcome": "measured", "digest": f"sha256:{artifact}", "metrics": metrics_json(metrics)}
                result["not_measured"] = {**unavailable, **left_out}
            case Refused(reason=reason, step=step):
                result |= {"outcome": "refused", "reason": reason, "step": step}
            case Failed(reason=reason, step=step, log=log):
                result |= {"outcome": "failed", "reason": reason, "step": step, "log": log}
            case _ as never:
                assert_never(never)
        return result


@dataclass(frozen=True, slots=True)
class Baseline:
    """What candidates are compared with: its name (`input`, a step's name, `none`), artifact digest and measurements."""

    name: str
    artifact: str = ""
    metrics: Mapping[str, Measurement] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A model that is handed out.

    Attributes:
        trial: the trial's number; -1 when the baseline itself is handed out.
        recipe: how it was made.
        metrics: what was measured of it.
        kind: its artifact kind.
        digest: its artifact digest.
        why: why it and no other, in one or two sentences.
        path: where the bundle lies; empty when none was written.
        files: the model files in the bundle, relative to `path`.
        notes: what the passes that made it noted, by their names.
    """

    trial: int
    recipe: Recipe
    metrics: Mapping[str, Measurement]
    kind: str
    digest: str
    why: str
    path: str = ""
    files: tuple[str, ...] = ()
    notes: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Returns the choice as it stands in the answer document."""
        return {
            "trial": None if self.trial < 0 else self.trial,
            "steps": [step.to_json() for step in self.recipe.steps],
            "metrics": metrics_json(self.metrics),
            "kind": self.kind,
            "files": list(self.files),
            "path": self.path or None,
            "digest": f"sha256:{self.digest}",
            "why": self.why,
            "notes": dict(self.notes),
        }


class Stop(Enum):
    """What ended a search."""

    ALL_TRIED = "all_tried"
    MAX_TRIALS = "max_trials"
    TIME_LIMIT = "time_limit"
    NO_IMPROVEMENT = "no_improvement"
    INTERRUPTED = "interrupted"
    BROKEN = "broken"

    @property
    def cut_short(self) -> str:
        """What ended it before all recipes were tried, as a sentence says it; empty where nothing did."""
        match self:
            case Stop.MAX_TRIALS | Stop.TIME_LIMIT | Stop.NO_IMPROVEMENT:
                return f"search.{self.value}"
            case Stop.INTERRUPTED | Stop.BROKEN:
                return {"interrupted": "an interruption", "broken": "an error"}[self.value]
            case Stop.ALL_TRIED:
                return ""
            case _ as never:
                assert_never(never)


@dataclass(frozen=True, slots=True)
class Search:
    """How far a search went.

    Attributes:
        stopped_by: what ended it.
        tried: how many recipes were tried.
        of: how many there are; -1 where a range is continuous.
    """

    stopped_by: Stop = Stop.ALL_TRIED
    tried: int = 0
    of: int = 0

    @property
    def note(self) -> str:
        """That the search was cut short, and by what; empty where it was not."""
        if not self.stopped_by.cut_short:
            return ""
        many = (
            f"{self.tried} of {self.of} recipes were"
            if self.of >= 0
            else f"{self.tried} recipes of a continuous range were"
        )
        return f"cut short by {self.stopped_by.cut_short}: {many} tried"

    def to_json(self) -> JsonObject:
        """Returns it as it stands in the answer document."""
        return {
            "stopped_by": self.stopped_by.value,
            "tried": self.tried,
            "of": self.of if self.of >= 0 else None,
        }


@dataclass(frozen=True, slots=True)
class Cost:
    """What the run took, and what the cache saved."""

    seconds: float = 0.0
    steps_run: int = 0
    steps_cached: int = 0
    measurements_run: int = 0
    measurements_cached: int = 0
    workers_started: int = 0

    def to_json(self) -> JsonObject:
        """Returns the cost as it stands in the answer document."""
        return {
            "seconds": round(self.seconds, 3),
            "steps_run": self.steps_run,
            "steps_cached": self.steps_cached,
            "measurements_run": self.measurements_run,
            "measurements_cached": self.measurements_cached,
            "workers_started": self.workers_started,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a run found out.

    Attributes:
        version: of olivelike.
        workflow: the workflow's name.
        status: how it ended.
        baseline: what candidates were compared with.
        chosen: what is handed out; for an infeasible run the closest candidate, without a path unless it was shipped.
        trials: every trial, in order.
        cost: what it took.
        why: the status in a sentence (what was missed, what is undecided).
        notes: what the user should know about how the plan was read.
        conditions: target, machine and versions under which it was measured.
        certificates: what held of the best candidates on data that the search did not see, in the order of asking.
        search: how far the search went, and what ended it.
        goals: the values that constraints and objectives name, `name.value` each; for drawing, no part of the document.
        profile: where the time goes, of the `baseline` and the `chosen` model; empty unless it was asked for.
    """

    version: str
    workflow: str
    status: Status
    baseline: Baseline
    chosen: tuple[Chosen, ...]
    trials: tuple[Trial, ...]
    cost: Cost
    why: str
    notes: tuple[str, ...] = ()
    conditions: Mapping[str, Json] = field(default_factory=dict)
    certificates: tuple[Certificate, ...] = ()
    search: Search = field(default_factory=Search)
    goals: tuple[str, ...] = ()
    profile: Mapping[str, Measurement] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Returns the answer document."""
        document: JsonObject = {
            "format": 1,
            "olivelike": self.version,
            "workflow": self.workflow,
            "status": self.status.value,
            "why": self.why,
            "baseline": {"name": self.baseline.name, "metrics": metrics_json(self.baseline.metrics)},
            "chosen": [choice.to_json() for choice in self.chosen],
            "certificates": [certificate.to_json() for certificate in self.certificates],
            "trials": [trial.to_json() for trial in self.trials],
            "search": self.search.to_json(),
            "cost": self.cost.to_json(),
            "notes": list(self.notes),
            "conditions": dict(self.conditions),
        }
        if self.profile:
            document["profile"] = metrics_json(self.profile)
        return document
