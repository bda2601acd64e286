"""Timed runs that take turns: one or two models, in blocks, in seeded random order, each on fresh sessions where cheap."""

from __future__ import annotations

import gc
import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TypeAlias

Runner: TypeAlias = Callable[[], float]
"""Runs a model once and returns the seconds that this took."""

Opener: TypeAlias = Callable[[], Runner]
"""Loads a model anew."""

MOST_IN_BLOCK = 2_000
FEWEST_OPENINGS = 3
FEWEST_WARM_UPS = 2
SHORT_RUN = 0.005


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to measure.

    Attributes:
        runs: timed runs of each model, at least.
        seconds: more are made until about so much time has gone by.
        warmup: untimed runs of each model at the start of a block; fewer, but two, once they have taken a block's share of
            `seconds`.
        blocks: the number of blocks.
    """

    runs: int
    seconds: float
    warmup: int
    blocks: int


@dataclass(frozen=True, slots=True)
class Timings:
    """What was timed.

    Attributes:
        streams: for each model its blocks, for each block the seconds of its runs; runs at the same place were neighbours.
        openings: how often each model was loaded.
    """

    streams: tuple[tuple[tuple[float, ...], ...], ...]
    openings: int


def take_turns(
    openers: Sequence[Opener], budget: Budget, seed: int, clock: Callable[[], float] = perf_counter
) -> Timings:
    """Times models in turns, so that whatever disturbs the machine disturbs all of them alike.

    Every round runs each model once, in random order. Where runs are shorter than 5 ms, a timed run follows an untimed one
    of the same model: otherwise it would be timed on caches that the other model has just filled, which made a model of
    0.08 ms look 5 % slower than it is alone. Models are loaded anew for each block as long as that costs at most twice the
    time spent running, and three times in any case, because where a model's weights happen to lie in memory changes its
    speed from one load to the next (Curtsinger & Berger, STABILIZER, 2013): the blocks' disagreement shows it. Which model
    is loaded first changes from load to load: an int8 model beside its own copy was 0.4 % slower whenever it came first.

    Args:
        openers: one for each model.
        budget: how long to measure.
        seed: of the order inside each round.
        clock: seconds; only the pace depends on it, not the times reported.
    """
    course = _Course(openers, budget, random.Random(seed), clock)
    with _collector_paused():
        blocks = [course.block() for _ in range(budget.blocks)]
    return Timings(tuple(zip(*blocks, strict=True)), course.openings)


class _Course:
    """The state of one measurement: the loaded models, and how the time was spent so far."""

    def __init__(
        self, openers: Sequence[Opener], budget: Budget, order: random.Random, clock: Callable[[], float]
    ) -> None:
        self.openers, self.budget, self.order, self.clock = openers, budget, order, clock
        self.runners: tuple[Runner, ...] = ()
        self.openings = 0
        self.opening_seconds = self.running_seconds = 0.0
        self.share = budget.seconds / budget.blocks

    def block(self) -> tuple[tuple[float, ...], ...]:
        """Runs one block and returns its seconds by model."""
        if self.openings < FEWEST_OPENINGS or self.opening_seconds <= 2 * self.running_seconds:
            self._open()
        begin = self.clock()
        settle = self._warm_up() < SHORT_RUN
        times = self._timed_rounds(settle)
        self.running_seconds += self.clock() - begin
        return times

    def _open(self) -> None:
        begin = self.clock()
        self.runners = ()  # two loads of a large model need not fit into memory at once
        indices = range(len(self.openers))
        loaded = {index: self.openers[index]() for index in (indices if self.openings % 2 else reversed(indices))}
        self.runners = tuple(loaded[index] for index in indices)
        self.opening_seconds += self.clock() - begin
        self.openings += 1

    def _warm_up(self) -> float:
        """Runs every model untimed and returns the median seconds of a run."""
        begin = self.clock()
        seconds: list[float] = []
        for count in range(self.budget.warmup):
            if count >= FEWEST_WARM_UPS and self.clock() - begin > self.share:
                break
            seconds += [runner() for runner in self.runners]
        return median(seconds)

    def _timed_rounds(self, settle: bool) -> tuple[tuple[float, ...], ...]:
        times: tuple[list[float], ...] = tuple([] for _ in self.runners)
        indices = list(range(len(self.runners)))
        least = math.ceil(self.budget.runs / self.budget.blocks)
        end = self.clock() + self.share
        while len(times[0]) < least or (self.clock() < end and len(times[0]) < MOST_IN_BLOCK):
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
