"""Times candidates beside the baseline until the question is decided: what `latency` and `throughput` have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field, NonNegativeInt, PositiveInt

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import MeasureContext, Session
from olivelike.contracts.outcome import Interval, Value
from olivelike.digest import JsonObject
from olivelike.errors import OlivelikeError
from olivelike.evaluate.machine.pinning import pinned
from olivelike.evaluate.sessions.feeds import FedConfig, first_feeds
from olivelike.evaluate.statistics.blocks import Blocks, blocked_median_ratio
from olivelike.evaluate.statistics.intervals import quantile
from olivelike.evaluate.timing.decision import Decision, is_sharp
from olivelike.evaluate.timing.paired_timing import Opener, Timings, take_turns
from olivelike.evaluate.timing.warm_up import Runner

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

SPINNING_STOPS = {"session.force_spinning_stop": "1"}
OUTLIER = 2.0


class TimingConfig(FedConfig):
    """What every timed metric can be told."""

    runs: int = Field(default=100, ge=20)
    """Timed runs of the candidate at least, or as many as fit into `seconds`."""
    seconds: float = Field(default=2.0, ge=0)
    """How long to go on at most to know the ratio to the baseline to half a percent."""
    longest: float = Field(default=30.0, ge=0)
    """How long to go on at most while a constraint is undecided, or a percentile asked for has too few runs."""
    warmup: PositiveInt = 50
    """Untimed runs at most of each model when it has been loaded; they end when its times stop falling."""
    pin: tuple[NonNegativeInt, ...] = ()
    """Processors that the runs are bound to (Linux); empty leaves it to the system."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Timed runs of the candidate beside the baseline, or of the baseline beside its own copy.

    Attributes:
        candidate: seconds by block.
        reference: seconds by block, run for run beside the candidate's.
        itself: whether both were the same model; their ratio then tells how much the machine can tell apart.
        details: the conditions, for the report.
    """

    candidate: Blocks
    reference: Blocks
    itself: bool
    details: JsonObject

    @property
    def runs(self) -> int:
        """Timed runs of the candidate."""
        return sum(map(len, self.candidate))


def time_models(
    candidates: Sequence[Artifact],
    reference: Artifact,
    config: TimingConfig,
    context: MeasureContext,
    values: Callable[[Compared], Mapping[str, Value]],
    fewest: int = 0,
) -> tuple[dict[str, Value], ...]:
    """Times candidates in turns with the reference; the reference itself among them is timed beside its own copy.

    Several candidates share the reference's runs. After each block the values of each are asked what they mean. Timing of a
    candidate ends early when they rule it out. It ends when every constraint holds and the ratio is known to half a percent,
    or `seconds` are over; while a constraint is undecided it goes on to `longest`. Both times are for one candidate: several
    have as many times as much together, and what one leaves is for the others. The intervals hold at every number of
    blocks at once, so asking after each costs nothing.

    Args:
        candidates: what is measured.
        reference: the baseline.
        config: how long.
        context: what the engine offers.
        values: from what was timed so far to the metric's values.
        fewest: runs that a value needs before it can be given.

    Returns:
        The values of each candidate, in order.

    Raises:
        InputError: OL206, fewer samples than one batch, or `dims` that do not fit the model; OL105, processors to pin to
            that there are not.
        MeasureError: OL504, a model cannot be loaded or run, or the clock does not move.
    """
    models = (reference, *candidates)
    places = [str(model.model) if len(candidates) > 1 else "" for model in models]
    feeds = []
    for model, place in zip(models, places, strict=True):
        with placed(place):
            feeds.append(first_feeds(context.open(model), config, context))
    count = len(candidates)
    decisions = [Decision(context, count * config.seconds, count * config.longest) for _ in candidates]

    def compared(index: int, timings: Timings) -> Compared:
        itself = candidates[index].digest == reference.digest
        return Compared(timings.own, timings.reference, itself, _details(timings, feeds[1 + index], itself))

    def enough(index: int, timings: Timings) -> bool:
        def sharp() -> bool:
            return timings.runs >= config.runs and is_sharp(blocked_median_ratio(timings.own, timings.reference))

        found = partial(values, compared(index, timings))
        return decisions[index].enough(timings.seconds, found, sharp, lacking=timings.runs < fewest)

    first, *others = (
        opener(model, fed, context, place) for model, fed, place in zip(models, feeds, places, strict=True)
    )
    with pinned(config.pin):
        timed = take_turns(first, others, enough, warm_ups=config.warmup, seed=context.seed)
    return tuple(
        decision.marked(values(compared(index, timings)))
        for index, (decision, timings) in enumerate(zip(decisions, timed, strict=True))
    )


def opener(model: Artifact, feeds: Mapping[str, Array], context: MeasureContext, place: str = "") -> Opener:
    """Returns what loads a model anew, to be run on some feeds; `place` is said where something goes wrong."""

    def load() -> Runner:
        with placed(place):
            return partial(run, context.open(without_spinning(model)))

    def run(session: Session) -> float:
        with placed(place):
            return session.time(feeds)

    return load


@contextmanager
def placed(place: str) -> Iterator[None]:
    """Gives errors a place where they have none: which of the models that are run side by side they are about."""
    try:
        yield
    except OlivelikeError as error:
        problems = (replace(problem, place=problem.place or place) for problem in error.problems)
        raise type(error)(*problems) from error


def without_spinning(model: Artifact) -> Artifact:
    """Returns a model whose idle threads stop spinning with each run, unless its own options say otherwise.

    The runtime's idle threads spin for a while after a run, waiting for the next; the threads of one session would take
    the processor from the other's (two threads on two cores: a run took 46 % longer). The target may set it differently too.
    """
    session = {**SPINNING_STOPS, **model.manifest.session}
    return replace(model, manifest=replace(model.manifest, session=session))


def _details(timings: Timings, feeds: Mapping[str, Array], itself: bool) -> JsonObject:
    blocks = timings.own
    medians = [quantile(block, 0.5) for block in blocks]
    limit = OUTLIER * quantile([run for block in blocks for run in block], 0.5)
    details: JsonObject = {
        "shapes": {name: list(array.shape) for name, array in feeds.items()},
        "warm_ups": list(timings.warm_ups),
        "blocks": len(blocks),
        "loaded": timings.openings,
        "seconds": round(timings.seconds, 3),
        "slower_than_twice_the_median": sum(run > limit for block in blocks for run in block),
        "block_medians_ms": [round(seconds * 1e3, 6) for seconds in medians],
    }
    if itself:
        details["against_its_copy"] = interval_json(blocked_median_ratio(timings.own, timings.reference))
    return details


def interval_json(interval: Interval) -> JsonObject:
    """Returns a ratio as details hold it."""
    return {"ratio": interval.value, "low": interval.low, "high": interval.high}
