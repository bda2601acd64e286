"""The metric `server`: the latency of requests that arrive by chance at a given rate, waiting in the queue included."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import fmean
from time import perf_counter, sleep
from typing import TYPE_CHECKING

from pydantic import Field

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Cost, MeasureContext, Metric, ValueSpec
from olivelike.contracts.outcome import Measurement, Undefined, Unpaired, Value
from olivelike.digest import JsonObject
from olivelike.evaluate.machine.pinning import pinned
from olivelike.evaluate.sessions.feeds import first_feeds
from olivelike.evaluate.statistics.blocks import FEWEST_BLOCKS, blocked_median_ratio
from olivelike.evaluate.timing.decision import Decision, is_sharp
from olivelike.evaluate.timing.latency import ValueName, latencies, runs_needed, value_specs
from olivelike.evaluate.timing.serving import LEADING, Plan, Serving, Stream, serve_in_turns
from olivelike.evaluate.timing.timed_models import Compared, TimingConfig, interval_json, opener

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

FEWEST_IN_BLOCK, MOST_IN_BLOCK = 8, 2_000


class ServerConfig(TimingConfig):
    """What to serve, how often and how long; a run is a request."""

    seconds: float = Field(default=20.0, ge=0)
    """How long to go on at most to know the ratio to the baseline to half a percent; it also settles how long a block is."""
    longest: float = Field(default=120.0, ge=0)
    """How long to go on at most while a constraint is undecided, a percentile asked for has too few requests, or the queue
    takes long to settle."""
    rate: float = Field(gt=0, allow_inf_nan=False)
    """Requests per second, on average."""
    values: tuple[ValueName, ...] = Field(default=("p50", "p90"), min_length=1)
    """Which values to give, the main one first: percentiles such as `p50`, `p99`, `p99.9`, and `mean`."""


class Server(Metric[ServerConfig]):
    """Milliseconds from a request's arrival to its completion, where requests arrive by chance: percentiles and the mean.

    One server takes requests in the order of their arrival; the times between arrivals are exponential (a Poisson process, as
    in the scenario `server` of MLPerf Inference, Reddi et al. 2020). Arrivals do not wait for the server, so a request that
    comes while others are dealt with waits, and its waiting counts. This is where a model that is a little faster can be much
    better: the busier the server, the longer the queue.

    Candidate and baseline take turns in blocks of requests, at least eight, with the same arrivals in a pair of blocks;
    every block begins with an empty queue, and its first fifth does not count. Each value carries its ratio to the baseline
    as in `latency`. All intervals are of 95 %, take the blocks for independent, and hold at whatever moment serving stops.
    Percentiles take as many requests as in `latency`: p90 takes 44, p99 takes 459.

    A model that cannot keep up has no latency: its queue, and with it every number, would grow as long as one looks. Nor is
    one given where it is so busy that its queue does not settle while a block lasts: at 90 % that takes some 340 requests
    (`serving.settling`), for which blocks are made longer as far as `longest` allows. Where that is so of the baseline
    alone, the candidate's values stand without a comparison. What is left of the empty beginning makes the mean low, in
    simulations by up to 6 % for models that always take the same time and up to 15 % for exponential times of service,
    where `longest` allowed blocks just as long as a queue takes to settle; by up to 2 % and 7 % in blocks of twice that.
    """

    name = "server"
    config = ServerConfig
    cost = Cost.RUNS
    timed = True
    compares = True
    data = "optional"

    def values(self, config: ServerConfig) -> tuple[ValueSpec, ...]:
        """Returns what the config asks for, in its order, in `ms`; lower is better."""
        return value_specs(config.values)

    def measure(
        self, candidate: Artifact, reference: Artifact, config: ServerConfig, context: MeasureContext
    ) -> Mapping[str, Value]:
        """Serves with the candidate and the reference in turns, or with two copies where they are the same artifact."""
        return serve_models(candidate, reference, config, context)


def serve_models(
    candidate: Artifact,
    reference: Artifact,
    config: ServerConfig,
    context: MeasureContext,
    clock: Callable[[], float] = perf_counter,
    pause: Callable[[float], None] = sleep,
) -> dict[str, Value]:
    """Serves with both models until the question is decided (`decision.Decision`), and returns the metric's values.

    Raises:
        InputError: OL206, fewer samples than one batch, or `dims` that do not fit the model; OL105, processors to pin to
            that there are not.
        MeasureError: OL504, a model cannot be loaded or run, or the clock does not move.
    """
    itself = candidate.digest == reference.digest
    feeds = [first_feeds(context.open(model), config, context) for model in (candidate, reference)]
    openers = [opener(model, fed, context) for model, fed in zip((candidate, reference), feeds, strict=True)]
    fewest = max(runs_needed(name) for name in config.values)
    decision = Decision(context, config.seconds, config.longest)

    def values(serving: Serving) -> dict[str, Value]:
        return _values(serving, config, context.level, itself, feeds[0])

    def enough(serving: Serving) -> bool:
        if not serving.candidate.load.keeps_up:
            return serving.seconds >= min(config.seconds, context.seconds_left)

        def sharp() -> bool:
            return serving.requests >= config.runs and _is_sharp(serving)

        return decision.enough(serving.seconds, lambda: values(serving), sharp, lacking=serving.requests < fewest)

    with pinned(config.pin):
        serving = serve_in_turns(openers, plan_of(config), enough, seed=context.seed, clock=clock, pause=pause)
    return decision.marked(values(serving))


def plan_of(config: ServerConfig) -> Plan:
    """Returns what a block is: so many requests that eight pairs of blocks last `seconds`, or give every percentile.

    They may become so many that eight pairs of blocks last `longest`.

    >>> plan_of(ServerConfig(rate=100, seconds=20, longest=120, values=("p50",)))
    Plan(rate=100.0, counted=100, most=600, warm_ups=50)
    """
    fewest = max(runs_needed(name) for name in config.values)
    each_second = config.rate / (2 * FEWEST_BLOCKS) / (1 + LEADING)
    wanted = math.ceil(max(fewest / FEWEST_BLOCKS, each_second * config.seconds))
    counted = min(max(wanted, FEWEST_IN_BLOCK), MOST_IN_BLOCK)
    return Plan(config.rate, counted, max(counted, math.ceil(each_second * config.longest)), config.warmup)


def _values(
    serving: Serving, config: ServerConfig, level: float, itself: bool, feeds: Mapping[str, Array]
) -> dict[str, Value]:
    own, other = serving.candidate, serving.reference
    if not own.load.keeps_up:
        return dict.fromkeys(config.values, Undefined(own.load.reason))
    compared = other.load.keeps_up
    details = _details(serving, feeds)
    if compared and itself:
        details["against_its_copy"] = interval_json(blocked_median_ratio(own.latencies, other.latencies))
    if not compared:
        details["baseline"] = f"the baseline {other.load.reason}"
    beside = other.latencies if compared else own.latencies
    found = latencies(config.values, level, Compared(own.latencies, beside, itself, details))
    return found if compared else {name: _alone(value) for name, value in found.items()}


def _alone(value: Value) -> Value:
    return replace(value, versus=Unpaired()) if isinstance(value, Measurement) else value


def _is_sharp(serving: Serving) -> bool:
    """Whether the ratio of the medians is known to half a percent, or there is none to be known."""
    own, other = serving.candidate, serving.reference
    return not other.load.keeps_up or is_sharp(blocked_median_ratio(own.latencies, other.latencies))


def _details(serving: Serving, feeds: Mapping[str, Array]) -> JsonObject:
    stream: Stream = serving.candidate
    blocks = stream.blocks
    everything = sum(len(block.services) for block in blocks)
    took = sum(block.seconds for block in blocks)
    return {
        "shapes": {name: list(array.shape) for name, array in feeds.items()},
        "rate": stream.plan.rate,
        "requests_in_block": stream.plan.counted,
        "offered_per_second": round(everything / sum(block.arrivals[-1] for block in blocks), 3),
        "served_per_second": round(everything / took, 3),
        "could_serve_per_second": round(stream.load.serves, 3),
        "utilisation": round(sum(sum(block.services) for block in blocks) / took, 4),
        "requests": serving.requests,
        "not_counted": everything - serving.requests,
        "blocks": len(blocks),
        "given_up": len(stream.given_up) + len(serving.reference.given_up),
        "loaded": serving.openings,
        "seconds": round(serving.seconds, 3),
        "block_means_ms": [round(fmean(block) * 1e3, 6) for block in stream.latencies],
    }
