"""The metric `memory`: the most memory that loading and running a model takes, in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from pydantic import Field, PositiveInt

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Cost, MeasureContext, Metric, ValueSpec
from olivelike.contracts.outcome import Measurement, Paired, Undefined, Unpaired, Value
from olivelike.digest import JsonObject
from olivelike.evaluate.resources.fresh_process import FreshProcesses, Life
from olivelike.evaluate.sessions.feeds import FedConfig, first_feeds
from olivelike.evaluate.statistics.intervals import LEVEL, median_interval

Reading: TypeAlias = Callable[[Life], int]
"""Reads bytes off a life; raises KeyError where the system did not tell them."""

READINGS: Mapping[str, Reading] = {
    "peak": lambda life: life.after_runs["peak"] - life.before["resident"],
    "peak_anonymous": lambda life: (
        max(life.most_anonymous, life.after_load["anonymous"], life.after_runs["anonymous"]) - life.before["anonymous"]
    ),
    "after_load": lambda life: life.after_load["resident"] - life.before["resident"],
    "process": lambda life: life.after_runs["peak"],
}
UNTOLD = "this system does not tell it of a process"
TOO_LITTLE = "too little to be told from what the process holds anyway"


class MemoryConfig(FedConfig):
    """What is run, and how often it is repeated."""

    runs: PositiveInt = 3
    """Runs in each process; the first ones may hold more memory than loading did."""
    processes: int = Field(default=6, ge=6)
    """Processes for each model, each with a measurement of its own."""


class Memory(Metric[MemoryConfig]):
    """The bytes of memory that a model needs to be loaded and run, beyond what any model needs.

    Each repetition is a fresh Python process that imports the runtime, looks at its memory, loads the model and runs it on
    the same batch; candidate and baseline take turns. `peak` is the most resident memory from then on, less what was
    there before: it holds weights, activations, whatever loading needed for a while, and code of the runtime that is used
    for the first time. `after_load` is what remains once the
    session stands. `peak_anonymous` leaves out pages of mapped files (external data), which the system may drop and read
    again when memory gets tight; Linux keeps no peak of it, so it is the most of looks once a millisecond, and less than the
    true peak where memory comes and goes in between. `process` is the peak of the whole process, as a container's limit sees it.

    Values are means over processes with Student's t interval, and the comparison is the mean ratio of
    neighbours. A peak that lay before the model was loaded is forgotten on Linux; elsewhere `peak` may be too small for a
    tiny model.
    """

    name = "memory"
    config = MemoryConfig
    cost = Cost.RUNS
    timed = True  # depends on the machine (threads, page size) and must not be measured beside others
    compares = True
    data = "optional"

    def values(self, config: MemoryConfig) -> tuple[ValueSpec, ...]:
        """Returns `peak`, `peak_anonymous`, `after_load` and `process`, in bytes; lower is better."""
        del config
        return tuple(ValueSpec(name, "bytes", "lower") for name in READINGS)

    def measure(
        self, candidate: Artifact, reference: Artifact, config: MemoryConfig, context: MeasureContext
    ) -> Mapping[str, Value]:
        """Loads and runs the models in processes of their own, in turns.

        Raises:
            InputError: OL206, fewer samples than one batch, or `dims` that do not fit the model.
            MeasureError: OL504, a model cannot be loaded or run; OL501, its process died.
        """
        models = [candidate] if candidate.digest == reference.digest else [candidate, reference]
        feeds = [first_feeds(context.open(model), config, context) for model in models]
        live = FreshProcesses(context.target, context.scratch, watched=True)
        lives: list[tuple[Life, ...]] = []
        for count in range(config.processes):
            lives.append(tuple(live(model, fed, config.runs) for model, fed in zip(models, feeds, strict=True)))
            context.progress((count + 1) / config.processes)
        details: JsonObject = {
            "shapes": {name: list(array.shape) for name, array in feeds[0].items()},
            "processes": config.processes,
            "before_load": min(own.before["resident"] for own, *_ in lives),
        }
        return memory_values(lives, details, context.level)


def memory_values(lives: Sequence[tuple[Life, ...]], details: JsonObject, level: float = LEVEL) -> Mapping[str, Value]:
    """Returns the metric's values from lives of the candidate, each with one of the baseline's beside it where there is one."""
    return {name: _value(lives, reading, details, level) for name, reading in READINGS.items()}


def _value(lives: Sequence[tuple[Life, ...]], reading: Reading, details: JsonObject, level: float) -> Value:
    try:
        read = [tuple(reading(life) for life in pair) for pair in lives]
    except KeyError:
        return Undefined(UNTOLD)
    if min(map(min, read)) <= 0:
        return Undefined(TOO_LITTLE)
    found = median_interval([own for own, *_ in read], level)
    versus = Paired("ratio", median_interval([a / b for a, b in read], level)) if len(read[0]) > 1 else Unpaired()
    return Measurement(found.value, "bytes", "lower", max(found.low, 0.0), found.high, len(read), versus, details)
