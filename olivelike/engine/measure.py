"""One measurement: from the cache where its key is known, else by a worker; timed ones alone on the machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TypeAlias, cast

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Prospect
from olivelike.contracts.outcome import Failed, Measurement
from olivelike.contracts.ports import Answer
from olivelike.contracts.task import MeasureTask
from olivelike.digest import JsonObject
from olivelike.engine.answers import read_failure
from olivelike.engine.desk import Desk
from olivelike.engine.events import StepEnded, StepStarted
from olivelike.engine.goals import Goals
from olivelike.evaluate.machine.quiet import quiet_machine
from olivelike.evaluate.statistics.intervals import LEVEL
from olivelike.plan.model import MetricPlan
from olivelike.store.keys import key_of, measure_ingredients
from olivelike.store.port import Absent


@dataclass(frozen=True, slots=True)
class Values:
    """What one metric entry gave, by `name.value`: measurements, and why a value cannot be given."""

    metrics: Mapping[str, Measurement]
    undefined: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The metric cannot be measured here, and why."""

    reason: str


Found: TypeAlias = Values | Unavailable | Failed


NO_GOALS = Goals()


def measure(
    desk: Desk,
    metric: MetricPlan,
    candidate: Artifact,
    reference: Artifact,
    trial: int,
    goals: Goals = NO_GOALS,
    level: float = LEVEL,
) -> Found:
    """Measures one artifact with one metric, or takes the measurement from the cache.

    One that ended early, because the candidate was out, is served only where these goals rule the candidate out too.
    """
    if isinstance(unavailable := _unavailable(desk, metric, candidate), Unavailable):
        return unavailable
    task = replace(measure_task(desk, metric, candidate.digest, reference.digest), level=level)
    ingredients = ingredients_of(desk, metric, task)
    with desk.flights.of(key := key_of(ingredients)):
        record = desk.store.lookup(key)
        if not isinstance(record, Absent):
            known = read_values(metric, record)
            if suffices(known, goals):
                desk.ledger.count("measurements_cached")
                desk.tell(StepEnded(trial, metric.name, "cached", 0.0))
                return known
        return _fresh(desk, metric, replace(task, goals=goals.to_json()), ingredients, trial)


def measure_several(
    desk: Desk, metric: MetricPlan, candidates: Sequence[Artifact], reference: Artifact
) -> tuple[Values, ...] | Unavailable | Failed:
    """Measures several artifacts that share what is run of the reference; nothing is taken from the cache or kept.

    What one of them is measured to be depends on which others are there, and no key says so.
    """
    for candidate in candidates:
        if isinstance(unavailable := _unavailable(desk, metric, candidate), Unavailable):
            return unavailable
    first, *others = (candidate.digest for candidate in candidates)
    task = replace(measure_task(desk, metric, first, reference.digest), others=tuple(others))
    with _turn(desk, metric):
        reply = desk.executor.run(task.to_json(), desk.limits())
    if not isinstance(reply, Answer):
        return reply
    return _read(desk, metric, reply.value)


def _unavailable(desk: Desk, metric: MetricPlan, candidate: Artifact) -> Unavailable | None:
    if metric.metric.runs and not desk.plan.target.present:
        return Unavailable("the target is declared not present: built for, never run on")
    if candidate.kind not in metric.metric.kinds:
        return Unavailable(f"{metric.type_name} cannot measure an artifact of the kind {candidate.kind}")
    return None


def suffices(known: Values, goals: Goals) -> bool:
    """Whether a measurement can be served: nothing more could be learnt, or it decides what these goals ask."""
    found = known.metrics.values()
    match goals.prospect(known.metrics):
        case Prospect.OUT:
            return True
        case Prospect.OPEN if any(measurement.extendable for measurement in found):
            return False
        case _:
            return all(measurement.complete for measurement in found)


def measure_task(desk: Desk, metric: MetricPlan, candidate: str, reference: str) -> MeasureTask:
    """Returns the task that a measurement is, every name and digest in it."""
    return MeasureTask(
        store=str(desk.store.root),
        name=metric.name,
        metric=metric.type_name,
        config=metric.config.model_dump(mode="json"),
        candidate=candidate,
        reference=reference if metric.metric.compares else candidate,
        target=desk.plan.target,
        data={metric.data: desk.data[metric.data]} if metric.data else {},
        scripts={script: desk.script(script) for script in metric.scripts},
    )


def ingredients_of(desk: Desk, metric: MetricPlan, task: MeasureTask) -> JsonObject:
    """Returns what the measurement's key is made of."""
    kind = metric.metric
    runtime = desk.runtime if kind.runs else {}
    machine = desk.machine if kind.timed else {}
    return measure_ingredients(task, kind, runtime, machine)


def _fresh(desk: Desk, metric: MetricPlan, task: MeasureTask, ingredients: JsonObject, trial: int) -> Found:
    desk.tell(StepStarted(trial, metric.name))
    start = monotonic()
    with _turn(desk, metric):
        reply = desk.executor.run(task.to_json(), desk.limits())
    seconds = monotonic() - start
    desk.ledger.count("measurements_run")
    found = _found(desk, metric, ingredients, reply.value, seconds) if isinstance(reply, Answer) else reply
    desk.tell(StepEnded(trial, metric.name, "failed" if isinstance(found, Failed) else "ran", seconds))
    return replace(found, step=metric.name) if isinstance(found, Failed) else found


@contextmanager
def _turn(desk: Desk, metric: MetricPlan) -> Iterator[None]:
    """Holds a place among what may run side by side; for a timed metric the whole machine."""
    if not metric.metric.timed:
        with desk.turns.shared():
            yield
        return
    with desk.turns.alone(), quiet_machine():
        yield


def _found(desk: Desk, metric: MetricPlan, ingredients: JsonObject, answer: JsonObject, seconds: float) -> Found:
    found = _read(desk, metric, answer)
    if isinstance(found, Failed):
        return found
    [values] = found
    [candidate] = cast("list[JsonObject]", answer["candidates"])
    record: JsonObject = {**candidate, "ingredients": ingredients, "seconds": round(seconds, 3)}
    # What a machine did not offer (an energy counter), or a search had no time for, it may have next time.
    if answer["kept"] and (values.metrics or not metric.metric.timed):
        desk.store.record(key_of(ingredients), record)
    return values


def _read(desk: Desk, metric: MetricPlan, answer: JsonObject) -> tuple[Values, ...] | Failed:
    """Reads the values of every candidate, and checks that the metric keeps its contract."""
    if answer["outcome"] != "measured":
        return read_failure(answer, metric.name, desk.origins)
    found = tuple(read_values(metric, each) for each in cast("list[JsonObject]", answer["candidates"]))
    for values in found:
        missing = [key for key in metric.keys if key not in {**values.metrics, **values.undefined}]
        if missing:
            return Failed(f"OL504 {metric.type_name} did not give {', '.join(missing)}", metric.name)
        infinite = [key for key, measured in values.metrics.items() if not measured.is_finite()]
        if infinite:
            return Failed(f"OL504 {metric.type_name} gave no finite value for {', '.join(infinite)}", metric.name)
    return found


def read_values(metric: MetricPlan, answer: JsonObject) -> Values:
    """Reads values by `name.value`, in the order in which the metric declares them."""
    found = cast("dict[str, JsonObject]", answer["metrics"])
    order = [value.name for value in metric.values if value.name in found]
    order += [name for name in found if name not in order]
    undefined = cast("dict[str, str]", answer["undefined"])
    return Values(
        {f"{metric.name}.{name}": Measurement.from_json(found[name]) for name in order},
        {f"{metric.name}.{name}": reason for name, reason in undefined.items()},
    )
