"""Language models that write in turns, one continuation of a prompt after the other, until enough is known."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from olivelike.evaluate.sessions.decoder import Decoder
from olivelike.evaluate.statistics.blocks import FEWEST_BLOCKS
from olivelike.evaluate.timing.loading import Loader
from olivelike.evaluate.timing.paired_timing import collector_paused, require_a_moving_clock


@dataclass(frozen=True, slots=True)
class Written:
    """The seconds of one continuation.

    Attributes:
        first: until the first token, the prompt's reading included.
        others: of each token after it.
    """

    first: float
    others: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Writing:
    """What was written so far.

    Attributes:
        streams: for each model its continuations; those at the same place have the same prompt.
        openings: how often each model was loaded.
        seconds: how long it took, loading included.
    """

    streams: tuple[tuple[Written, ...], ...]
    openings: int
    seconds: float

    @property
    def continuations(self) -> int:
        """How many each model has written."""
        return len(self.streams[0])


def write_in_turns(
    openers: Sequence[Callable[[], Decoder]],
    prompts: Sequence[Sequence[int]],
    new_tokens: int,
    enough: Callable[[Writing], bool],
    *,
    seed: int,
    clock: Callable[[], float] = perf_counter,
) -> Writing:
    """Lets models continue the same prompts in turns, in random order, another prompt in each round.

    Models are loaded anew as `loading.Loader` says, and write once untimed after each loading, which counts as part of it.

    Args:
        openers: one for each model; a model that is compared with itself is given twice.
        prompts: tokens, at least one prompt.
        new_tokens: how many tokens a continuation has.
        enough: whether no more is needed; asked after each round, from the eighth on.
        seed: of the order.
        clock: seconds.

    Raises:
        MeasureError: OL504, a model cannot be run, or the clock does not move.
    """
    models = Loader([partial(_warm, opener, prompts[0], new_tokens, clock) for opener in openers], clock)
    order = random.Random(seed)
    rounds: list[tuple[Written, ...]] = []
    running = 0.0
    with collector_paused():
        while True:
            if models.is_due(running):
                models.load()
            begin = clock()
            rounds.append(_round(models.loaded, prompts[len(rounds) % len(prompts)], new_tokens, order, clock))
            running += clock() - begin
            writing = Writing(tuple(zip(*rounds, strict=True)), models.openings, models.seconds + running)
            if len(rounds) >= FEWEST_BLOCKS and enough(writing):
                return writing


def _warm(opener: Callable[[], Decoder], prompt: Sequence[int], new_tokens: int, clock: Callable[[], float]) -> Decoder:
    model = opener()
    _write(model, prompt, new_tokens, clock)
    return model


def _round(
    models: Sequence[Decoder],
    prompt: Sequence[int],
    new_tokens: int,
    order: random.Random,
    clock: Callable[[], float],
) -> tuple[Written, ...]:
    indices = list(range(len(models)))
    order.shuffle(indices)
    written = {index: _write(models[index], prompt, new_tokens, clock) for index in indices}
    return tuple(written[index] for index in range(len(models)))


def _write(model: Decoder, prompt: Sequence[int], new_tokens: int, clock: Callable[[], float]) -> Written:
    tokens = model.tokens(prompt)
    times: list[float] = []
    for _ in range(new_tokens):
        begin = clock()
        next(tokens)
        times.append(clock() - begin)
    require_a_moving_clock(times)
    return Written(times[0], tuple(times[1:]))
