"""Models that serve the same arrivals in turns, block by block, until enough is known."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from time import perf_counter, sleep

from olivelike.evaluate.statistics.blocks import FEWEST_BLOCKS, Blocks
from olivelike.evaluate.timing.arrivals import Served, poisson_arrivals, serve
from olivelike.evaluate.timing.loading import Loader
from olivelike.evaluate.timing.paired_timing import BLOCK_SECONDS, Opener, collector_paused, require_a_moving_clock
from olivelike.evaluate.timing.warm_up import Runner, warm_up

MOST_GIVEN_UP = 2
"""So many blocks given up are no accident."""
ROOM = 2
"""Blocks are planned to be so many times as long as a queue takes to settle, because how busy it will be is a guess then."""
LEADING = 0.25


@dataclass(frozen=True, slots=True)
class Plan:
    """The requests of a block.

    Attributes:
        rate: arrivals per second.
        counted: requests whose latency is kept.
        most: as many as that may become where the queue takes longer to settle.
        warm_ups: the most untimed runs of each model when it has been loaded.
    """

    rate: float
    counted: int
    most: int
    warm_ups: int

    @property
    def leading(self) -> int:
        """Requests before those that count, which fill the queue and the caches."""
        return math.ceil(LEADING * self.counted)

    def fitted(self, seconds: Iterable[float]) -> Plan:
        """Returns a plan with blocks long enough for the queues of servers that take so many seconds for a request."""
        needed = [settling(self.rate * each) for each in seconds if self.rate * each < 1]
        within = [math.ceil(min(ROOM * each, self.most)) for each in needed if each <= self.most]
        return replace(self, counted=max([self.counted, *within]))


@dataclass(frozen=True, slots=True)
class Load:
    """How much of a server's time its requests ask for.

    Attributes:
        rate: arrivals per second.
        serves: requests per second that it can deal with, one after the other.
        given_up: whether its queue grew so long that serving was given up.
        block: requests of a block that count.
    """

    rate: float
    serves: float
    given_up: bool
    block: int

    @property
    def keeps_up(self) -> bool:
        """Whether its queue settles while a block lasts."""
        busy = self.rate / self.serves
        return not self.given_up and busy < 1 and settling(busy) <= self.block

    @property
    def reason(self) -> str:
        """Why there is no latency that would be the model's own."""
        busy = self.rate / self.serves
        if self.given_up or busy >= 1:
            return f"cannot keep up with {self.rate:g}/s: serves about {_rounded(self.serves, 3)}/s"
        requests = (
            f"about {_rounded(settling(busy), 2)} requests to settle, and a block has {self.block}; raise `longest`"
        )
        return f"barely keeps up with {self.rate:g}/s: {busy:.1%} busy, its queue takes {requests}"


def _rounded(number: float, digits: int) -> str:
    return f"{float(f'{number:.{digits}g}'):g}"


def settling(busy: float) -> float:
    """Returns about how many requests it takes until a queue that was empty is as long as it usually is.

    The relaxation time of an M/M/1 queue, in requests (Cohen, The Single Server Queue, 1982). Simulated at 50 to 95 %
    busy, their first fifth left out: blocks as long as this give a mean latency that is up to 6 % low with constant times
    of service, and 11 to 15 % low with exponential ones; blocks twice as long (`ROOM`), up to 2 % and up to 7 %.

    Args:
        busy: the share of time that the server is busy, below 1.

    Example:
        >>> [round(settling(busy)) for busy in (0.5, 0.7, 0.9)]
        [6, 26, 342]
    """
    return busy / (1 - math.sqrt(busy)) ** 2


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
        return Load(self.plan.rate, 1 / seconds, self.is_given_up, self.plan.counted)


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

    Every block begins with an empty queue; its leading requests do not count. Blocks are made longer than planned where the
    queue would not settle otherwise, judged by the first warm-up. Models are loaded anew as `loading.Loader` says. A block
    whose queue grows beyond all patience is given up together with its partner; after two of them the model is given up:
    the candidate's ends the serving, without the reference the candidate goes on alone.

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
            if models.openings == 1 and fresh:
                fitted = plan.fitted(warm.each)
                serving = Serving(Stream(fitted), Stream(fitted))
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
