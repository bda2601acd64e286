"""Cold starts side by side: fresh processes of candidate and baseline in turns, until enough is known."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from pydantic import Field

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import MeasureContext, MetricConfig
from olivelike.contracts.outcome import Measurement, Paired, Undefined, Unpaired, Value
from olivelike.digest import JsonObject
from olivelike.evaluate.resources.fresh_process import Life, Living
from olivelike.evaluate.statistics.sequences import quantile_sequence
from olivelike.evaluate.timing.decision import Decision

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

MILLISECONDS = 1e3


class ColdConfig(MetricConfig):
    """How many processes."""

    processes: int = Field(default=8, ge=8)
    """Processes of the candidate, at least; fewer than eight tell nothing with 95 % confidence."""
    seconds: float = Field(default=30.0, ge=0)
    """While the intervals leave a constraint open, more processes are started until about this much time has gone by."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one value of a cold start is: a name, and the seconds it takes of a life."""

    name: str
    seconds: Callable[[Life], float]


Models = Sequence[tuple[Artifact, "Mapping[str, Array]"]]
"""The candidate with its feeds, and after it the baseline unless they are the same artifact."""


def cold_values(
    models: Models, readings: Sequence[Reading], config: ColdConfig, context: MeasureContext, live: Living, runs: int
) -> Mapping[str, Value]:
    """Measures cold starts and returns one value for each reading, in milliseconds.

    Every round starts one process for each model, in random order. The first round is not counted: it brings the files into
    the system's cache. The value is the median over processes, and of the ratio to the baseline the median over pairs, with
    intervals that assume no distribution and hold at every number of processes (`sequences`): so the rounds may end as soon
    as the candidate's fate is known.

    Args:
        models: one or two.
        readings: what to give.
        config: how many processes.
        context: what the engine offers.
        live: starts a process.
        runs: runs in each process.
    """
    order = random.Random(context.seed)
    begin = monotonic()
    _round(models, live, runs, order)
    lives: list[tuple[Life, ...]] = []
    decision = Decision(context, 0.0, config.seconds)
    while True:
        lives.append(_round(models, live, runs, order))
        context.progress(min(len(lives) / config.processes, 1.0))
        values = partial(_values, lives, readings, context.level)
        if len(lives) >= config.processes and decision.enough(monotonic() - begin, values, lambda: True):
            return decision.marked(values())


def _values(lives: Sequence[tuple[Life, ...]], readings: Sequence[Reading], level: float) -> dict[str, Value]:
    return {reading.name: _value(lives, reading, level) for reading in readings}


def _round(models: Models, live: Living, runs: int, order: random.Random) -> tuple[Life, ...]:
    places = list(range(len(models)))
    order.shuffle(places)
    found = {place: live(*models[place], runs) for place in places}
    return tuple(found[place] for place in range(len(models)))


def _value(lives: Sequence[tuple[Life, ...]], reading: Reading, level: float) -> Value:
    read = [tuple(reading.seconds(life) * MILLISECONDS for life in pair) for pair in lives]
    own = [pair[0] for pair in read]
    found = quantile_sequence(own, 0.5, level)
    if not math.isfinite(found.high - found.low):
        return Undefined(f"{len(own)} processes cannot bound a median at {level:.5g}")
    versus = (
        Unpaired() if len(read[0]) == 1 else Paired("ratio", quantile_sequence([a / b for a, b in read], 0.5, level))
    )
    details: JsonObject = {"processes": len(own), "slowest_ms": max(own), "file_cache": "warm"}
    return Measurement(found.value, "ms", "lower", found.low, found.high, len(own), versus, details)
