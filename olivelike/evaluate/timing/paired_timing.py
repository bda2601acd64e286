"""Timed runs that take turns: two or more models, block by block, in seeded random order, until enough is known."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeAlias

from olivelike.errors import MeasureError, fail
from olivelike.evaluate.statistics.blocks import FEWEST_BLOCKS
from olivelike.evaluate.timing.warm_up import Runner, warm_up

Opener: TypeAlias = Callable[[], Runner]
"""Loads a model anew."""

BLOCK_SECONDS = 0.06
FEWEST_IN_BLOCK = 2
MOST_IN_BLOCK = 2_000
FEWEST_OPENINGS = 3
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
    time spent running, and three times in any case, because where a model's weights happen to lie in memory changes its
    speed from one load to the next (Curtsinger & Berger, STABILIZER, 2013): the blocks' disagreement shows it. Which model
    is loaded first changes from load to load: an int8 model beside its own copy was 0.4 % slower whenever it came first.

    Args:
        openers: one for each model; a model that is compared with itself is given twice.
        enough: whether no more is needed; asked after each block, from the eighth on.
        warm_ups: the most untimed runs of each model at the start of a block (`warm_up.warm_up`).
        seed: of the order inside each round.
        clock: seconds; only the pace depends on it, not the times reported.

    Raises:
        MeasureError: OL504, the clock does not move.
    """
    course = _Course(openers, warm_ups, random.Random(seed), clock)
    with _collector_paused():
        while True:
            timings = course.block()
            if timings.blocks >= FEWEST_BLOCKS and enough(timings):
                return timings


@dataclass
class _Course:
    """The state of one measurement: the loaded models, the blocks so far, and how the time was spent."""

    openers: Sequence[Opener]
    most_warm_ups: int
    order: random.Random
    clock: Callable[[], float]
    runners: tuple[Runner, ...] = ()
    openings: int = 0
    opening_seconds: float = 0.0
    running_seconds: float = 0.0
    warm_ups: list[int] = field(default_factory=list)
    blocks: list[tuple[tuple[float, ...], ...]] = field(default_factory=list)

    def block(self) -> Timings:
        """Runs one block and returns all of them."""
        fresh = self.openings < FEWEST_OPENINGS or self.opening_seconds <= 2 * self.running_seconds
        if fresh:
            self._open()
        begin = self.clock()
        warm = warm_up(self.runners, self.most_warm_ups, BLOCK_SECONDS, self.clock, fresh=fresh)
        self.warm_ups.append(warm.runs)
        times = self._timed_rounds(settle=warm.seconds < SHORT_RUN)
        self.running_seconds += self.clock() - begin
        if any(seconds <= 0 for stream in times for seconds in stream):
            claim = "the clock does not move: a run took no time at all"
            raise fail(MeasureError, "OL504", claim, hint="time a larger batch, or another machine")
        self.blocks.append(times)
        streams = tuple(zip(*self.blocks, strict=True))
        return Timings(streams, self.openings, tuple(self.warm_ups), self.opening_seconds + self.running_seconds)

    def _open(self) -> None:
        begin = self.clock()
        self.runners = ()  # two loads of a large model need not fit into memory at once
        indices = range(len(self.openers))
        loaded = {index: self.openers[index]() for index in (indices if self.openings % 2 else reversed(indices))}
        self.runners = tuple(loaded[index] for index in indices)
        self.opening_seconds += self.clock() - begin
        self.openings += 1

    def _timed_rounds(self, *, settle: bool) -> tuple[tuple[float, ...], ...]:
        times: tuple[list[float], ...] = tuple([] for _ in self.runners)
        indices = list(range(len(self.runners)))
        end = self.clock() + BLOCK_SECONDS
        while len(times[0]) < FEWEST_IN_BLOCK or (self.clock() < end and len(times[0]) < MOST_IN_BLOCK):
            self.order.shuffle(indices)
            for index in indices:
                if settle:
                    self.runners[index]()
                times[index].append(self.runners[index]())
        return tuple(map(tuple, times))


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keeps Python's garbage collector from running inside a timed run, as `timeit` does."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
