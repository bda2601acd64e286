"""Models that serve the same arrivals in turns, block by block, until enough is known."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from time import perf_counter, sleep

from olivelike.evaluate.statistics.blocks import FEWEST_BLOCKS, Blocks
from olivelike.evaluate.timing.arrivals import Served, poisson_arrivals, serve
from olivelike.evaluate.timing.loading import Loader
from olivelike.evaluate.timing.paired_timing import BLOCK_SECONDS, Opener, collector_paused, require_a_moving_clock
from olivelike.evaluate.timing.warm_up import Runner, warm_up

MOST_GIVEN_UP = 2
"""So many blocks given up are no accident."""
MOST_BUSY = 0.95
"""A queue that is busier takes thousands of requests to settle: its latency would tell how long a block lasts."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The requests of a block.

    Attributes:
        rate: arrivals per second.
        counted: requests whose latency is kept.
        leading: requests before them, which fill the queue and the caches.
        warm_ups: the most untimed runs of each model when it has been loaded.
    """

    rate: float
    counted: int
    leading: int
    warm_ups: int


@dataclass(frozen=True, slots=True)
class Load:
    """How much of a server's time its requests ask for.

    Attributes:
        rate: arrivals per second.
        serves: requests per second that it can deal with, one after the other.
        given_up: whether its queue grew so long that serving was given up.
    """

    rate: float
    serves: float
    given_up: bool

    @property
    def keeps_up(self) -> bool:
        """Whether its queue settles while a block lasts."""
        return not self.given_up and self.rate <= MOST_BUSY * self.serves

    @property
    def reason(self) -> str:
        """Why there is no latency that would be the model's own."""
        if self.given_up or self.rate >= self.serves:
            return f"cannot keep up with {self.rate:g}/s: serves about {self.serves:.3g}/s"
        busy = self.rate / self.serves
        return (
            f"barely keeps up with {self.rate:g}/s: at {busy:.0%} busy, its queue does not settle while a block lasts"
        )


@dataclass
class Stream:
    """What one model served."""

    plan: Plan
    blocks: list[Served] = field(default_factory=list)
    given_up: list[Served] = field(default_factory=list)

    @property
    def is_given_up(self) -> bool:
        """Whether it is served no more."""
        return len(self.given_up) >= MOST_GIVEN_UP

    @property
    def latencies(self) -> Blocks:
        """Seconds from arrival to completion of the requests that count, by block."""
        return [block.latencies[self.plan.leading :] for block in self.blocks]

    @property
    def load(self) -> Load:
        """How busy it is."""
        blocks = self.given_up if self.is_given_up else self.blocks
        seconds = fmean(each for block in blocks for each in block.services)
        return Load(self.plan.rate, 1 / seconds, self.is_given_up)


@dataclass
class Serving:
    """What was served so far, by the candidate and by the model beside it."""

    candidate: Stream
    reference: Stream
    openings: int = 0
    seconds: float = 0.0

    @property
    def requests(self) -> int:
        """Requests of the candidate that count."""
        return sum(map(len, self.candidate.latencies))


def serve_in_turns(
    openers: Sequence[Opener],
    plan: Plan,
    enough: Callable[[Serving], bool],
    *,
    seed: int,
    clock: Callable[[], float] = perf_counter,
    pause: Callable[[float], None] = sleep,
) -> Serving:
    """Serves the same arrivals with two models in turns, in random order; each pair of blocks has arrivals of its own.

    Every block begins with an empty queue; its leading requests do not count. Models are loaded anew as
    `loading.Loader` says. A block whose queue grows beyond all patience is given up together with its partner; after two
    of them the model is given up: the candidate's ends the serving, without the reference the candidate goes on alone.

    Args:
        openers: of the candidate and of the reference.
        plan: of a block.
        enough: whether no more is needed; asked after each block, from the eighth on.
        seed: of the arrivals and the order.
        clock: seconds.
        pause: how to let time pass.

    Raises:
        MeasureError: OL504, the clock does not move.
    """
    models = Loader(openers, clock)
    source = random.Random(seed)
    serving = Serving(Stream(plan), Stream(plan))
    running = 0.0
    with collector_paused():
        while True:
            fresh = models.is_due(running)
            if fresh:
                models.load()
            begin = clock()
            warm = warm_up(models.loaded, plan.warm_ups, BLOCK_SECONDS, clock, fresh=fresh)
            require_a_moving_clock([warm.seconds])  # before waiting on it for an arrival
            _serve_block(serving, models.loaded, source, clock, pause)
            running += clock() - begin
            serving.openings, serving.seconds = models.openings, models.seconds + running
            if serving.candidate.is_given_up:
                return serving
            if len(serving.candidate.blocks) >= FEWEST_BLOCKS and enough(serving):
                return serving


def _serve_block(
    serving: Serving,
    runners: Sequence[Runner],
    source: random.Random,
    clock: Callable[[], float],
    pause: Callable[[float], None],
) -> None:
    plan = serving.candidate.plan
    arrivals = poisson_arrivals(plan.rate, plan.leading + plan.counted, source)
    turns = [
        pair for pair in zip((serving.candidate, serving.reference), runners, strict=True) if not pair[0].is_given_up
    ]
    source.shuffle(turns)
    served = [(stream, serve(runner, arrivals, clock, pause)) for stream, runner in turns]
    whole = all(block.whole for _, block in served)
    for stream, block in served:
        require_a_moving_clock(block.services)
        if whole:
            stream.blocks.append(block)
        elif not block.whole:
            stream.given_up.append(block)
