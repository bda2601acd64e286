"""Timed runs that take turns: a reference and the models beside it, in seeded random order, until enough is known of each."""

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
"""How long a block of two models is at least; each further model lengthens it by half of that."""
FEWEST_IN_BLOCK = 2
MOST_IN_BLOCK = 2_000
SHORT_RUN = 0.005


@dataclass(frozen=True, slots=True)
class Timings:
    """What was timed so far of one model beside the reference.

    Attributes:
        own: the model's blocks, for each block the seconds of its runs.
        reference: the reference's, run for run beside the model's own: runs at the same place were neighbours.
        openings: how often each model was loaded.
        warm_ups: untimed runs of each model, by block.
        seconds: how long it took, loading and the other models included.
    """

    own: tuple[tuple[float, ...], ...]
    reference: tuple[tuple[float, ...], ...]
    openings: int
    warm_ups: tuple[int, ...]
    seconds: float

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return len(self.own)

    @property
    def runs(self) -> int:
        """How many timed runs of the model there are."""
        return sum(map(len, self.own))


def take_turns(
    reference: Opener,
    others: Sequence[Opener],
    enough: Callable[[int, Timings], bool],
    *,
    warm_ups: int,
    seed: int,
    clock: Callable[[], float] = perf_counter,
) -> tuple[Timings, ...]:
    """Times models in turns with a reference, so that whatever disturbs the machine disturbs all of them alike.

    All share one stream of the reference's runs; a model of which enough is known leaves, and the rest go on without it. Every
    round runs each model once, in random order. Where runs are shorter than 5 ms, a timed run follows an untimed one
    of the same model: otherwise it would be timed on caches that the other model has just filled, which made a model of
    0.08 ms look 5 % slower than it is alone. Models are loaded anew for each block as long as that costs at most twice the
    time spent running, and three times in any case (`loading.Loader`).

    Args:
        reference: the model that the others are compared with.
        others: one for each of them, at least one; for a comparison with itself the reference once more.
        enough: whether no more is needed of one of the others, by its place; asked after each block, from the eighth on.
        warm_ups: the most untimed runs of each model at the start of a block (`warm_up.warm_up`).
        seed: of the order inside each round.
        clock: seconds; only the pace depends on it, not the times reported.

    Returns:
        What was timed of each of the others, in their order.

    Raises:
        MeasureError: OL504, the clock does not move.
    """
    course = _Course(Loader((reference, *others), clock), warm_ups, random.Random(seed), clock)
    found: dict[int, Timings] = {}
    with collector_paused():
        while len(found) < len(others):
            for index, timings in course.block().items():
                if timings.blocks >= FEWEST_BLOCKS and enough(index, timings):
                    found[index] = timings
                    course.release(index)
    return tuple(found[index] for index in range(len(others)))


@dataclass
class _Course:
    """The state of one measurement: the loaded models, the blocks so far, and how the time was spent.

    `running` holds the places of the others that are still timed; their models and streams follow the reference's in that order.
    """

    models: Loader[Runner]
    most_warm_ups: int
    order: random.Random
    clock: Callable[[], float]
    running_seconds: float = 0.0
    warm_ups: list[int] = field(default_factory=list)
    running: list[int] = field(init=False)
    streams: list[list[tuple[float, ...]]] = field(init=False)

    def __post_init__(self) -> None:
        self.running = list(range(len(self.models.openers) - 1))
        self.streams = [[] for _ in self.models.openers]

    def release(self, index: int) -> None:
        """Leaves one of the others out from now on."""
        place = 1 + self.running.index(index)
        self.running.remove(index)
        self.models.release(place)
        del self.streams[place]

    def block(self) -> dict[int, Timings]:
        """Runs one block and returns what is known of each of the others by now."""
        fresh = self.models.is_due(self.running_seconds)
        if fresh:
            self.models.load()
        begin = self.clock()
        warm = warm_up(self.models.loaded, self.most_warm_ups, self._length, self.clock, fresh=fresh)
        self.warm_ups.append(warm.runs)
        times = self._timed_rounds(settle=warm.seconds < SHORT_RUN)
        self.running_seconds += self.clock() - begin
        require_a_moving_clock(seconds for stream in times for seconds in stream)
        for stream, block in zip(self.streams, times, strict=True):
            stream.append(block)
        reference, *others = map(tuple, self.streams)
        seconds = self.models.seconds + self.running_seconds
        return {
            index: Timings(own, reference, self.models.openings, tuple(self.warm_ups), seconds)
            for index, own in zip(self.running, others, strict=True)
        }

    @property
    def _length(self) -> float:
        return BLOCK_SECONDS * len(self.streams) / 2

    def _timed_rounds(self, *, settle: bool) -> tuple[tuple[float, ...], ...]:
        runners = self.models.loaded
        times: tuple[list[float], ...] = tuple([] for _ in runners)
        indices = list(range(len(runners)))
        end = self.clock() + self._length
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
