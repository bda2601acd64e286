"""Timed runs that take turns: two or more models, block by block, in seeded random order, until enough is known."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeAlias

from olivelike.errors import MeasureError, fail
from olivelike.evaluate.statistics.blocks import FEWEST_BLOCKS
from olivelike.evaluate.timing.loading import Loader
from olivelike.evaluate.timing.warm_up import Runner, warm_up

Opener: TypeAlias = Callable[[], Runner]
"""Loads a model anew."""

BLOCK_SECONDS = 0.06
FEWEST_IN_BLOCK = 2
MOST_IN_BLOCK = 2_000
SHORT_RUN = 0.005


@dataclass(frozen=True, slots=True)
class Timings:
    """What was timed so far.

    Attributes:
        streams: for each model its blocks, for each block the seconds of its runs; runs at the same place were neighbours.
        openings: how often each model was loaded.
        warm_ups: untimed runs of each model, by block.
        seconds: how long it took, loading included.
    """

    streams: tuple[tuple[tuple[float, ...], ...], ...]
    openings: int
    warm_ups: tuple[int, ...]
    seconds: float

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return len(self.streams[0])

    @property
    def runs(self) -> int:
        """How many timed runs of each model there are."""
        return sum(map(len, self.streams[0]))


def take_turns(
    openers: Sequence[Opener],
    enough: Callable[[Timings], bool],
    *,
    warm_ups: int,
    seed: int,
    clock: Callable[[], float] = perf_counter,
) -> Timings:
    """Times models in turns, so that whatever disturbs the machine disturbs all of them alike.

    Every round runs each model once, in random order. Where runs are shorter than 5 ms, a timed run follows an untimed one
    of the same model: otherwise it would be timed on caches that the other model has just filled, which made a model of
    0.08 ms look 5 % slower than it is alone. Models are loaded anew for each block as long as that costs at most twice the
    time spent running, and three times in any case (`loading.Loader`).

    Args:
        openers: one for each model; a model that is compared with itself is given twice.
        enough: whether no more is needed; asked after each block, from the eighth on.
        warm_ups: the most untimed runs of each model at the start of a block (`warm_up.warm_up`).
        seed: of the order inside each round.
        clock: seconds; only the pace depends on it, not the times reported.

    Raises:
        MeasureError: OL504, the clock does not move.
    """
    course = _Course(Loader(openers, clock), warm_ups, random.Random(seed), clock)
    with collector_paused():
        while True:
            timings = course.block()
            if timings.blocks >= FEWEST_BLOCKS and enough(timings):
                return timings


@dataclass
class _Course:
    """The state of one measurement: the loaded models, the blocks so far, and how the time was spent."""

    models: Loader[Runner]
    most_warm_ups: int
    order: random.Random
    clock: Callable[[], float]
    running_seconds: float = 0.0
    warm_ups: list[int] = field(default_factory=list)
    blocks: list[tuple[tuple[float, ...], ...]] = field(default_factory=list)

    def block(self) -> Timings:
        """Runs one block and returns all of them."""
        fresh = self.models.is_due(self.running_seconds)
        if fresh:
            self.models.load()
        begin = self.clock()
        warm = warm_up(self.models.loaded, self.most_warm_ups, BLOCK_SECONDS, self.clock, fresh=fresh)
        self.warm_ups.append(warm.runs)
        times = self._timed_rounds(settle=warm.seconds < SHORT_RUN)
        self.running_seconds += self.clock() - begin
        require_a_moving_clock(seconds for stream in times for seconds in stream)
        self.blocks.append(times)
        streams = tuple(zip(*self.blocks, strict=True))
        seconds = self.models.seconds + self.running_seconds
        return Timings(streams, self.models.openings, tuple(self.warm_ups), seconds)

    def _timed_rounds(self, *, settle: bool) -> tuple[tuple[float, ...], ...]:
        runners = self.models.loaded
        times: tuple[list[float], ...] = tuple([] for _ in runners)
        indices = list(range(len(runners)))
        end = self.clock() + BLOCK_SECONDS
        while len(times[0]) < FEWEST_IN_BLOCK or (self.clock() < end and len(times[0]) < MOST_IN_BLOCK):
            self.order.shuffle(indices)
            for index in indices:
                if settle:
                    runners[index]()
                times[index].append(runners[index]())
        return tuple(map(tuple, times))


def require_a_moving_clock(times: Iterable[float]) -> None:
    """Checks that every run took some time.

    Raises:
        MeasureError: OL504, the clock does not move.
    """
    if any(seconds <= 0 for seconds in times):
        claim = "the clock does not move: a run took no time at all"
        raise fail(MeasureError, "OL504", claim, hint="time a larger batch, or another machine")


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keeps Python's garbage collector from running inside a timed run, as `timeit` does."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
