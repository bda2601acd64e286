"""What a candidate is held against while it is measured: constraints, the baseline's values, and the rivals so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import cast

from olivelike.contracts.figures import metrics_json
from olivelike.contracts.metric import Prospect
from olivelike.contracts.outcome import Measurement
from olivelike.contracts.recipe import Recipe
from olivelike.digest import Json, JsonObject
from olivelike.engine.candidate import Candidate
from olivelike.engine.judge import Holds, Metrics, judge
from olivelike.engine.select import is_behind
from olivelike.plan.model import Constraint, Objective, Rule

NO_TRIAL = -2
"""Stands for the candidate that is being measured; places are told apart by trial, and a rival may be trial 0."""


@dataclass(frozen=True, slots=True)
class Goals:
    """What decides about a candidate. The same in the engine and in a worker, which needs it to end sampling.

    Attributes:
        constraints: what must hold.
        objectives: what is to be made best, by priority.
        baseline: the baseline's measurements.
        known: what was measured of the candidate before.
        rivals: feasible candidates.
        seconds: how much of the search's time was left when this was written.
        prunes: whether a candidate that cannot win any more is left at that; otherwise all of it is measured.
    """

    constraints: Sequence[Constraint] = ()
    objectives: Sequence[Objective] = ()
    baseline: Metrics = field(default_factory=dict)
    known: Metrics = field(default_factory=dict)
    rivals: Sequence[Candidate] = ()
    seconds: float = inf
    prunes: bool = True

    def hopeless(self, values: Metrics) -> str:
        """Returns why a candidate with these values can no longer win; empty while it can."""
        if not self.prunes:
            return ""
        for judgement in judge(self.constraints, values, self.baseline):
            if judgement.holds is Holds.NO:
                return f"breaks {judgement.text}"
        if not self.objectives or any(objective.key not in values for objective in self.objectives):
            return ""
        own = Candidate(NO_TRIAL, Recipe(), "", "", 0, values, False)
        for rival in self.rivals:
            if all(is_behind(objective, own, rival) for objective in self.objectives):
                keys = ", ".join(objective.key for objective in self.objectives)
                return f"{keys}: shown worse than {rival.name}"
        return ""

    def prospect(self, values: Metrics) -> Prospect:
        """Returns what new values, by `name.value`, mean for the candidate."""
        together = {**self.known, **values}
        if self.hopeless(together):
            return Prospect.OUT
        own = [constraint for constraint in self.constraints if constraint.key in values]
        judged = judge(own, together, self.baseline)
        return Prospect.OPEN if any(j.holds is Holds.OPEN for j in judged) else Prospect.CLEAR

    def to_json(self) -> JsonObject:
        """Returns the goals as they travel to a worker."""
        return {
            "constraints": [[c.key, c.rule.value, c.amount, c.relative, c.better, c.text] for c in self.constraints],
            "objectives": [[o.key, o.minimize, o.within, o.within_relative] for o in self.objectives],
            "baseline": metrics_json(self.baseline),
            "known": metrics_json(self.known),
            "rivals": [[rival.trial, metrics_json(rival.metrics)] for rival in self.rivals],
            "seconds": self.seconds if self.seconds != inf else None,
            "prunes": self.prunes,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Goals:
        """Reads what `to_json` wrote; no goals where it is empty."""
        if not value:
            return cls()
        constraints = cast("list[tuple[str, str, float, bool, str, str]]", value["constraints"])
        objectives = cast("list[tuple[str, bool, float, bool]]", value["objectives"])
        rivals = cast("list[tuple[int, JsonObject]]", value["rivals"])
        return cls(
            tuple(Constraint(c[0], Rule(c[1]), c[2], c[3], c[4], c[5]) for c in constraints),
            tuple(Objective(*objective) for objective in objectives),
            _metrics(value["baseline"]),
            _metrics(value["known"]),
            tuple(Candidate(trial, Recipe(), "", "", 0, _metrics(found), True) for trial, found in rivals),
            inf if value["seconds"] is None else cast("float", value["seconds"]),
            bool(value["prunes"]),
        )


def _metrics(value: Json) -> dict[str, Measurement]:
    return {key: Measurement.from_json(found) for key, found in cast("dict[str, JsonObject]", value).items()}
