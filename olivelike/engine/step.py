"""One step: from the cache where its key is known, else by a worker; auxiliary steps first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import monotonic
from typing import TypeAlias, cast

from pydantic import ValidationError

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import DataSpec, RefersTo
from olivelike.contracts.outcome import Failed, Refused
from olivelike.contracts.passes import AnyPass, PassConfig
from olivelike.contracts.ports import Answer
from olivelike.contracts.recipe import Recipe, RecipeStep
from olivelike.contracts.task import StepTask
from olivelike.digest import Json, JsonObject
from olivelike.engine.answers import read_failure
from olivelike.engine.desk import Desk
from olivelike.engine.events import StepEnded, StepStarted
from olivelike.errors import StoreError
from olivelike.store.keys import key_of, step_ingredients
from olivelike.store.port import Absent


@dataclass(frozen=True, slots=True)
class Made:
    """The step's output, ready to be used."""

    artifact: Artifact


Result: TypeAlias = Made | Refused | Failed


def run_recipe(desk: Desk, source: Artifact, recipe: Recipe, trial: int) -> Result:
    """Applies a recipe's steps in order; stops at the first that refuses or fails."""
    result: Result = Made(source)
    for step in recipe.steps:
        if not isinstance(result, Made):
            return result
        result = run_step(desk, result.artifact, step, trial)
    return result


def run_step(desk: Desk, source: Artifact, step: RecipeStep, trial: int) -> Result:
    """Runs one step on an artifact, or takes its output from the cache."""
    kind = desk.pass_named(step.pass_name)
    if source.kind not in kind.accepts:
        wanted = " or ".join(sorted(kind.accepts))
        return Refused(f"OL301 {step.pass_name} takes {wanted}, got {source.kind}", step.name)
    try:
        config = kind.config.model_validate(dict(step.config))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return Refused(f"OL307 {step.pass_name}: {f'{where}: ' if where else ''}{first['msg']}", step.name)
    needed: dict[str, str] = {}
    for name, auxiliary in kind().needs(config).items():
        inner = RecipeStep(auxiliary.pass_name, auxiliary.pass_name, dict(auxiliary.config), step.verify, step.limits)
        result = run_step(desk, source, inner, trial)
        if not isinstance(result, Made):
            return result
        needed[name] = result.artifact.digest
    task = step_task(desk, source.digest, step, kind, needed)
    key = key_of(ingredients_of(desk, task, kind))
    with desk.flights.of(key):
        if failed := desk.flights.failure(key):
            return replace(failed, step=step.name)
        result = _cached(desk, key, step, trial) or _fresh(desk, task, step, kind, trial)
        if isinstance(result, Failed):
            desk.flights.note(key, result)
        return result


def step_task(desk: Desk, source: str, step: RecipeStep, kind: type[AnyPass], needed: Mapping[str, str]) -> StepTask:
    """Returns the task that a step is, every name and digest in it."""
    return StepTask(
        store=str(desk.store.root),
        name=step.name,
        pass_name=step.pass_name,
        config=step.config,
        source=source,
        needed=needed,
        target=desk.plan.target,
        data=_data_named(desk, kind.config, step.config),
        verify=step.verify,
    )


def ingredients_of(desk: Desk, task: StepTask, kind: type[AnyPass]) -> JsonObject:
    """Returns what the step's key is made of."""
    return step_ingredients(task, kind, desk.machine)


def _cached(desk: Desk, key: str, step: RecipeStep, trial: int) -> Result | None:
    record = desk.store.lookup(key)
    if isinstance(record, Absent):
        return None
    if "refused" in record:
        desk.ledger.count("steps_cached")
        desk.tell(StepEnded(trial, step.name, "refused", 0.0))
        return Refused(str(record["refused"]), step.name)
    try:
        artifact = desk.store.open(str(record["output"]))
    except StoreError as error:
        desk.log.warning("%s", error)
        desk.store.forget(key)
        return None
    desk.ledger.count("steps_cached")
    desk.tell(StepEnded(trial, step.name, "cached", 0.0))
    return Made(artifact)


def _fresh(desk: Desk, task: StepTask, step: RecipeStep, kind: type[AnyPass], trial: int) -> Result:
    desk.tell(StepStarted(trial, step.name))
    start = monotonic()
    with desk.turns.shared():
        reply = desk.executor.run(task.to_json(), desk.limits(step.limits))
    seconds = monotonic() - start
    desk.ledger.count("steps_run")
    result = (
        _result(desk, task, step, kind, reply.value, seconds)
        if isinstance(reply, Answer)
        else replace(reply, step=step.name)
    )
    how = {Made: "ran", Refused: "refused", Failed: "failed"}[type(result)]
    desk.tell(StepEnded(trial, step.name, how, seconds))
    return result


def _result(
    desk: Desk, task: StepTask, step: RecipeStep, kind: type[AnyPass], answer: JsonObject, seconds: float
) -> Result:
    ingredients = ingredients_of(desk, task, kind)
    shared: JsonObject = {"ingredients": ingredients, "seconds": round(seconds, 3), "step": step.name}
    match answer["outcome"]:
        case "made":
            digest = str(answer["artifact"])
            desk.store.record(key_of(ingredients), {"output": digest, **shared})
            return Made(desk.store.open(digest))
        case "refused":
            desk.store.record(key_of(ingredients), {"refused": answer["reason"], **shared})
            return Refused(str(answer["reason"]), step.name)
        case _:
            failed = read_failure(answer, step.name, desk.origins)
            note: JsonObject = {"reason": failed.reason, "log": failed.log, **shared}
            desk.store.record(f"failed/{key_of(ingredients)}", note)
            return failed


def _data_named(desk: Desk, config: type[PassConfig], values: Mapping[str, Json]) -> dict[str, DataSpec]:
    names = [
        cast("str", values[name])
        for name, info in config.model_fields.items()
        if any(isinstance(mark, RefersTo) for mark in info.metadata) and values.get(name)
    ]
    return {name: desk.data[name] for name in names}
