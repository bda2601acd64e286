"""The metric `generation`: how fast a language model writes, the first token and those after it, in turns with the baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter

from pydantic import Field, NonNegativeInt, PositiveInt

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Cost, MeasureContext, Metric, MetricConfig, ValueSpec
from olivelike.contracts.outcome import Interval, Value
from olivelike.digest import JsonObject
from olivelike.evaluate.machine.pinning import pinned
from olivelike.evaluate.sessions.decoder import Decoder, decoder
from olivelike.evaluate.sessions.prompts import Prompts, prompts_for
from olivelike.evaluate.statistics.blocks import Blocks, blocked_median_ratio
from olivelike.evaluate.timing.decision import Decision, is_sharp
from olivelike.evaluate.timing.latency import latencies
from olivelike.evaluate.timing.throughput import UNIT, per_second
from olivelike.evaluate.timing.timed_models import Compared, interval_json, without_spinning
from olivelike.evaluate.timing.writing import Writing, Written, write_in_turns

MEDIAN = "p50"


class GenerationConfig(MetricConfig):
    """How much to write and how long."""

    prompt: PositiveInt = 64
    """Tokens of a prompt."""
    new_tokens: int = Field(default=32, ge=2)
    """Tokens that are written after it."""
    seconds: float = Field(default=20.0, ge=0)
    """How long to go on at most to know the ratio to the baseline to half a percent."""
    longest: float = Field(default=120.0, ge=0)
    """How long to go on at most while a constraint is undecided."""
    pin: tuple[NonNegativeInt, ...] = ()
    """Processors that the runs are bound to (Linux); empty leaves it to the system."""


class Generation(Metric[GenerationConfig]):
    """How fast a causal language model writes: tokens per second, and milliseconds for the first token and for a later one.

    One sequence at a time, the likeliest token each time. `ttft` is the time to the first token: the model reads the whole
    prompt. `tokens_per_second` counts the tokens after it, over the median time of a continuation; `per_token` is the
    median time of one of them. An end of text ends nothing, so that all models do the same work. What is timed is a run
    of the model with its arrays, and the choice of the token: what a caller in Python waits for. Text is neither read nor
    made. A model with a cache (inputs `past_key_values.*`, outputs `present.*`) gets it back with each token; one without
    reads the whole sequence again for each.

    Prompts are the beginnings of the data's samples (`input_ids`), or random tokens where there are no data. Candidate and
    baseline take turns, continuation by continuation, in random order on the same prompts, at least eight; each
    continuation is a block. Every value carries its ratio to the baseline, as in `latency` and `throughput`; all intervals
    are of 95 % and hold at whatever moment timing stops.
    """

    name = "generation"
    config = GenerationConfig
    cost = Cost.RUNS
    timed = True
    compares = True
    completes_feeds = True
    data = "optional"

    def values(self, config: GenerationConfig) -> tuple[ValueSpec, ...]:
        """Returns `tokens_per_second`, higher is better; `ttft` and `per_token` in `ms`, lower is better."""
        del config
        return (
            ValueSpec("tokens_per_second", UNIT, "higher"),
            ValueSpec("ttft", "ms", "lower"),
            ValueSpec("per_token", "ms", "lower"),
        )

    def measure(
        self, candidate: Artifact, reference: Artifact, config: GenerationConfig, context: MeasureContext
    ) -> Mapping[str, Value]:
        """Writes with the candidate and the reference in turns, or with two copies where they are the same artifact."""
        return time_writing(candidate, reference, config, context)


def time_writing(
    candidate: Artifact,
    reference: Artifact,
    config: GenerationConfig,
    context: MeasureContext,
    clock: Callable[[], float] = perf_counter,
) -> dict[str, Value]:
    """Lets both models write until the question is decided (`decision.Decision`), and returns the metric's values.

    Raises:
        InputError: OL206, a model is no causal language model, or the data give no prompt for it; OL105, processors to pin
            to that there are not.
        MeasureError: OL504, a model cannot be loaded or run, or the clock does not move.
    """
    itself = candidate.digest == reference.digest
    prompts, cached = _prompts(candidate, reference, config, context)
    decision = Decision(context, config.seconds, config.longest)

    def values(writing: Writing) -> dict[str, Value]:
        conditions: JsonObject = {"prompt": config.prompt, "new_tokens": config.new_tokens, "cache": cached}
        return _values(writing, config, context.level, itself, {**conditions, "prompts": len(prompts)})

    def enough(writing: Writing) -> bool:
        return decision.enough(writing.seconds, lambda: values(writing), lambda: is_sharp(_ratio(writing)))

    with pinned(config.pin):
        openers = [_opener(model, context) for model in (candidate, reference)]
        writing = write_in_turns(openers, prompts, config.new_tokens, enough, seed=context.seed, clock=clock)
    return decision.marked(values(writing))


def _prompts(
    candidate: Artifact, reference: Artifact, config: GenerationConfig, context: MeasureContext
) -> tuple[Prompts, bool]:
    """Returns prompts that both models can read, and whether the candidate keeps what it has read."""
    first = decoder(context.open(candidate))
    vocabulary, cached = first.vocabulary(), first.is_cached
    if reference.digest != candidate.digest:
        vocabulary = min(vocabulary, decoder(context.open(reference)).vocabulary())
    return prompts_for(context, first.session, config.prompt, vocabulary), cached


def _opener(model: Artifact, context: MeasureContext) -> Callable[[], Decoder]:
    return lambda: decoder(context.open(without_spinning(model)))


def _values(
    writing: Writing, config: GenerationConfig, level: float, itself: bool, conditions: JsonObject
) -> dict[str, Value]:
    details = {
        **conditions,
        "continuations": writing.continuations,
        "loaded": writing.openings,
        "seconds": round(writing.seconds, 3),
    }
    if itself:
        details["against_its_copy"] = interval_json(_ratio(writing))

    def compared(blocks: Callable[[tuple[Written, ...]], Blocks]) -> Compared:
        own, other = map(blocks, writing.streams)
        return Compared(own, other, itself, details)

    def median(blocks: Callable[[tuple[Written, ...]], Blocks]) -> Value:
        return latencies((MEDIAN,), level, compared(blocks))[MEDIAN]

    return {
        "tokens_per_second": per_second(config.new_tokens - 1, compared(_after_the_first), level),
        "ttft": median(lambda stream: [[written.first] for written in stream]),
        "per_token": median(lambda stream: [written.others for written in stream]),
    }


def _ratio(writing: Writing) -> Interval:
    """Returns the median ratio of the times of continuations, their first tokens left out."""
    own, other = map(_after_the_first, writing.streams)
    return blocked_median_ratio(own, other)


def _after_the_first(stream: tuple[Written, ...]) -> Blocks:
    return [[sum(written.others)] for written in stream]
