"""A task: one step or one measurement as names, configs and digests. With the store, that is all a worker needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from olivelike.contracts.data import DataSpec
from olivelike.contracts.target import Target
from olivelike.digest import Json, JsonObject


@dataclass(frozen=True, slots=True)
class StepTask:
    """Run one pass on one artifact.

    Attributes:
        store: the store's folder.
        name: the step's name, for logs.
        pass_name: the registered name.
        config: full configuration.
        source: digest of the input artifact.
        needed: auxiliary name to the digest of its artifact.
        target: what the candidate is made for.
        data: the data entries that the config names.
        seed: the seed.
        verify: `off`, `fast` or `full`.
    """

    store: str
    name: str
    pass_name: str
    config: Mapping[str, Json]
    source: str
    needed: Mapping[str, str]
    target: Target
    data: Mapping[str, DataSpec] = field(default_factory=dict)
    seed: int = 0
    verify: str = "fast"

    def to_json(self) -> JsonObject:
        """Returns the task as it travels to a worker."""
        return {
            "task": "step",
            "store": self.store,
            "name": self.name,
            "pass": self.pass_name,
            "config": dict(self.config),
            "source": self.source,
            "needed": dict(self.needed),
            "target": self.target.to_json(),
            "data": {name: spec.to_json() for name, spec in self.data.items()},
            "seed": self.seed,
            "verify": self.verify,
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> StepTask:
        """Reads what `to_json` wrote."""
        return cls(
            store=str(value["store"]),
            name=str(value["name"]),
            pass_name=str(value["pass"]),
            config=cast("dict[str, Json]", value["config"]),
            source=str(value["source"]),
            needed=cast("dict[str, str]", value["needed"]),
            target=Target.from_json(cast("JsonObject", value["target"])),
            data=_data(value["data"]),
            seed=cast("int", value["seed"]),
            verify=str(value["verify"]),
        )


@dataclass(frozen=True, slots=True)
class MeasureTask:
    """Measure one artifact with one metric, or several side by side.

    Attributes:
        store: the store's folder.
        name: the metric entry's name, for logs.
        metric: the registered name.
        config: full configuration.
        candidate: digest of the artifact to measure.
        others: digests of further candidates, to share what is run of the reference (`Metric.measure_several`).
        reference: digest of the baseline; the candidate's own where nothing is compared.
        target: where to run.
        data: the entry that the metric names; at most one.
        scripts: user's script as written in the config to the digest of the artifact that holds it.
        seed: the seed of resampling and of the order of runs.
        level: the confidence level of two-sided intervals.
        goals: what the candidate's values are held against, so that sampling can end when that is decided; in no key.
    """

    store: str
    name: str
    metric: str
    config: Mapping[str, Json]
    candidate: str
    reference: str
    target: Target
    data: Mapping[str, DataSpec] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    level: float = 0.95
    goals: Mapping[str, Json] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """Returns the task as it travels to a worker."""
        return {
            "task": "measure",
            "store": self.store,
            "name": self.name,
            "metric": self.metric,
            "config": dict(self.config),
            "candidate": self.candidate,
            "reference": self.reference,
            "target": self.target.to_json(),
            "data": {name: spec.to_json() for name, spec in self.data.items()},
            "scripts": dict(self.scripts),
            "seed": self.seed,
            "level": self.level,
            "goals": dict(self.goals),
            "others": list(self.others),
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> MeasureTask:
        """Reads what `to_json` wrote."""
        return cls(
            store=str(value["store"]),
            name=str(value["name"]),
            metric=str(value["metric"]),
            config=cast("dict[str, Json]", value["config"]),
            candidate=str(value["candidate"]),
            reference=str(value["reference"]),
            target=Target.from_json(cast("JsonObject", value["target"])),
            data=_data(value["data"]),
            scripts=cast("dict[str, str]", value["scripts"]),
            seed=cast("int", value["seed"]),
            level=cast("float", value["level"]),
            goals=cast("dict[str, Json]", value["goals"]),
            others=tuple(cast("list[str]", value["others"])),
        )


Task: TypeAlias = StepTask | MeasureTask


def _data(value: Json) -> dict[str, DataSpec]:
    return {name: DataSpec.from_json(name, spec) for name, spec in cast("dict[str, JsonObject]", value).items()}
