"""Times the candidate beside the baseline: what `latency` and `throughput` have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import MeasureContext, MetricConfig, Session
from olivelike.digest import JsonObject
from olivelike.errors import InputError, fail
from olivelike.evaluate.sessions.random_feeds import random_feeds
from olivelike.evaluate.statistics.intervals import quantile
from olivelike.evaluate.timing.paired_timing import Budget, Opener, Runner, Timings, take_turns

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

SPINNING_STOPS = {"session.force_spinning_stop": "1"}
OUTLIER = 2.0

Blocks = tuple[tuple[float, ...], ...]


class TimingConfig(MetricConfig):
    """What every timed metric can be told."""

    batch: PositiveInt = 1
    """Samples in one run."""
    dims: dict[str, PositiveInt] = Field(default={})
    """Sizes of the model's dynamic dimensions by name; with it, the model is fed random values of these sizes, not data."""
    runs: int = Field(default=100, ge=100)
    """Timed runs of the candidate, at least."""
    seconds: float = Field(default=0.6, ge=0)
    """Where `runs` takes less than this, more runs are made until about this much time has gone by."""
    warmup: PositiveInt = 10
    """Runs that are not counted, of each model at the start of each block."""
    blocks: int = Field(default=10, ge=8)
    """Blocks into which the runs are divided; their disagreement widens the interval."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Timed runs of the candidate and, unless it is the baseline itself, of the baseline.

    Attributes:
        candidate: seconds by block.
        reference: seconds by block, run for run beside the candidate's; empty where nothing was compared.
        details: the conditions, for the report.
    """

    candidate: Blocks
    reference: Blocks
    details: JsonObject


def time_models(candidate: Artifact, reference: Artifact, config: TimingConfig, context: MeasureContext) -> Compared:
    """Times the candidate, in turns with the reference unless they are the same artifact.

    Raises:
        InputError: OL206, fewer samples than one batch, or `dims` that do not fit the model.
        MeasureError: OL504, a model cannot be loaded or run.
    """
    models = [candidate] if candidate.digest == reference.digest else [candidate, reference]
    feeds = [_feeds(context.open(model), config, context) for model in models]
    openers = [_opener(model, fed, context) for model, fed in zip(models, feeds, strict=True)]
    budget = Budget(config.runs, config.seconds, config.warmup, config.blocks)
    timings = take_turns(openers, budget, context.seed)
    return Compared(
        timings.streams[0], timings.streams[1] if len(models) == 2 else (), _details(timings, feeds[0], config)
    )


def _feeds(session: Session, config: TimingConfig, context: MeasureContext) -> Mapping[str, Array]:
    if config.dims:
        return random_feeds(session.inputs, config.batch, config.dims, context.seed)
    for batch in context.data(session).batches(config.batch, config.batch):
        if batch.size == config.batch:
            return batch.feeds
    claim = f"the data hold fewer samples than a batch of {config.batch}"
    raise fail(InputError, "OL206", claim, path="batch", hint="lower `batch` or give more data")


def _opener(model: Artifact, feeds: Mapping[str, Array], context: MeasureContext) -> Opener:
    """Returns what loads a model anew.

    The runtime's idle threads spin for a while after a run, waiting for the next; the threads of one session would take
    the processor from the other's (two threads on two cores: a run took 46 % longer). So spinning stops with each run,
    unless the target or the model's own options say otherwise.
    """
    session = {**SPINNING_STOPS, **model.manifest.session}
    quiet = replace(model, manifest=replace(model.manifest, session=session))

    def load() -> Runner:
        return partial(context.open(quiet).time, feeds)

    return load


def _details(timings: Timings, feeds: Mapping[str, Array], config: TimingConfig) -> JsonObject:
    blocks = timings.streams[0]
    medians = [quantile(block, 0.5) for block in blocks]
    limit = OUTLIER * quantile([run for block in blocks for run in block], 0.5)
    return {
        "shapes": {name: list(array.shape) for name, array in feeds.items()},
        "warmup": config.warmup,
        "blocks": len(blocks),
        "loaded": timings.openings,
        "slower_than_twice_the_median": sum(run > limit for block in blocks for run in block),
        "block_medians_ms": [round(seconds * 1e3, 6) for seconds in medians],
    }
