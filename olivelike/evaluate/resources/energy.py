"""The metric `energy`: joules for one run, from the machine's own counter, beside the baseline."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

from pydantic import Field

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Cost, MeasureContext, Metric, ValueSpec
from olivelike.contracts.outcome import Measurement, Paired, Undefined, Unpaired, Value
from olivelike.digest import JsonObject
from olivelike.evaluate.resources.energy_counter import POWERCAP, Counter, joules_between, readable_counters, reading
from olivelike.evaluate.sessions.feeds import FedConfig, first_feeds
from olivelike.evaluate.statistics.intervals import median_interval

NO_COUNTER = "no readable energy counter: Linux shows one under /sys/class/powercap, by default to root alone"
STOOD_STILL = "the energy counter did not move while the model ran: this machine shows one but does not count"


class EnergyConfig(FedConfig):
    """What is run, and for how long."""

    stretches: int = Field(default=10, ge=5)
    """Stretches of runs, for each model, over which energy is counted."""
    seconds: float = Field(default=0.5, ge=0.1)
    """Length of a stretch; counters move once a millisecond, so that one run alone cannot be measured."""


class Energy(Metric[EnergyConfig]):
    """Joules that the processor takes for one run, from the counter that it keeps itself (RAPL, on Linux).

    Candidate and baseline run in turns, each for stretches of about half a second; energy over runs is one sample. The
    counters are those of whole packages: whatever else runs on the machine is counted too, and so is what an idle machine
    takes. Memory and graphics cards have counters of their own and are not in it. The value is the geometric mean over
    stretches with Student's t interval of its logs; the ratio to the baseline is that of neighbouring stretches.

    Where there is no counter that this process may read, as in most virtual machines and containers, the value is undefined
    and says so; nothing is estimated from time.
    """

    name = "energy"
    config = EnergyConfig
    cost = Cost.RUNS
    timed = True
    compares = True
    data = "optional"

    def values(self, config: EnergyConfig) -> tuple[ValueSpec, ...]:
        """Returns `per_run` in joules, lower is better."""
        del config
        return (ValueSpec("per_run", "J", "lower"),)

    def measure(
        self, candidate: Artifact, reference: Artifact, config: EnergyConfig, context: MeasureContext
    ) -> Mapping[str, Value]:
        """Runs the models in turns and reads the counters.

        Raises:
            InputError: OL206, fewer samples than one batch, or `dims` that do not fit the model.
            MeasureError: OL504, a model cannot be loaded or run.
        """
        return {"per_run": joules_per_run(candidate, reference, config, context, POWERCAP)}


def joules_per_run(
    candidate: Artifact, reference: Artifact, config: EnergyConfig, context: MeasureContext, powercap: Path
) -> Value:
    """Returns the joules of one run, or why there is no such value.

    Args:
        candidate: what is measured.
        reference: the baseline.
        config: what is run, and for how long.
        context: what the engine offers.
        powercap: the folder where Linux shows the counters.
    """
    counters = readable_counters(powercap)
    if not counters:
        return Undefined(NO_COUNTER)
    models = [candidate] if candidate.digest == reference.digest else [candidate, reference]
    sessions = [context.open(model) for model in models]
    feeds = [first_feeds(session, config, context) for session in sessions]
    runs = [partial(session.time, fed) for session, fed in zip(sessions, feeds, strict=True)]
    order, samples = random.Random(context.seed), []
    for count in range(config.stretches):
        samples.append(_in_turns(runs, config.seconds, counters, order))
        context.progress((count + 1) / config.stretches)
    if min(map(min, samples)) <= 0:
        return Undefined(STOOD_STILL)
    found = median_interval([own for own, *_ in samples], context.level)
    versus = (
        Paired("ratio", median_interval([a / b for a, b in samples], context.level)) if len(models) > 1 else Unpaired()
    )
    details: JsonObject = {"counters": [counter.name for counter in counters], "stretches": config.stretches}
    return Measurement(found.value, "J", "lower", found.low, found.high, len(samples), versus, details)


def _in_turns(
    runs: Sequence[Callable[[], float]], seconds: float, counters: Sequence[Counter], order: random.Random
) -> tuple[float, ...]:
    """Returns the joules of one run of each model, in random order of the models."""
    places = list(range(len(runs)))
    order.shuffle(places)
    found = {place: _stretch(runs[place], seconds, counters) for place in places}
    return tuple(found[place] for place in range(len(runs)))


def _stretch(run: Callable[[], float], seconds: float, counters: Sequence[Counter]) -> float:
    run()  # not counted: it brings the model's weights back into the processor's caches
    before, begin, count = reading(counters), perf_counter(), 0
    while perf_counter() - begin < seconds:
        run()
        count += 1
    return joules_between(before, reading(counters), counters) / count
