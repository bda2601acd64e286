"""Requests that arrive by chance at a given rate, and one server that deals with them in order."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from olivelike.evaluate.timing.warm_up import Runner

SPIN = 0.002
"""Sleep is late, by a tenth of a millisecond as a rule; so much before an arrival the clock is watched instead."""
PATIENCE, GRACE = 3.0, 1.0
"""A block is given up once it has taken three times as long as its arrivals and a second more."""
FEWEST_SERVED = 2


@dataclass(frozen=True, slots=True)
class Served:
    """Requests as they were served, in order.

    Attributes:
        arrivals: seconds from the start of the block, of all that were to come.
        latencies: seconds from arrival to completion, queueing included, of those that were served.
        services: seconds that the server was busy with each.
        seconds: from the start of the block to the last completion.
    """

    arrivals: tuple[float, ...]
    latencies: tuple[float, ...]
    services: tuple[float, ...]
    seconds: float

    @property
    def whole(self) -> bool:
        """Whether all requests were served, before the block was given up."""
        return len(self.latencies) == len(self.arrivals)


def poisson_arrivals(rate: float, count: int, source: random.Random) -> tuple[float, ...]:
    """Returns the moments, in seconds from 0, at which requests arrive: independent of each other, `rate` per second."""
    return tuple(accumulate(source.expovariate(rate) for _ in range(count)))


def serve(
    runner: Runner, arrivals: Sequence[float], clock: Callable[[], float], sleep: Callable[[float], None]
) -> Served:
    """Serves requests in the order of their arrival, one at a time; who arrives meanwhile waits.

    Arrivals do not wait for the server (an open loop): a request that has waited is late by that much, as its sender would
    see it. A block whose queue has grown beyond all patience is given up.

    Args:
        runner: deals with one request.
        arrivals: seconds from the start, rising.
        clock: seconds.
        sleep: lets so many seconds pass; may be late by less than `SPIN`.
    """
    begin = clock()
    limit = begin + PATIENCE * arrivals[-1] + GRACE
    latencies: list[float] = []
    services: list[float] = []
    end = begin
    for arrival in arrivals:
        _wait_until(begin + arrival, clock, sleep)
        start = clock()
        if start > limit and len(services) >= FEWEST_SERVED:
            break
        runner()
        end = clock()
        latencies.append(end - begin - arrival)
        services.append(end - start)
    return Served(tuple(arrivals), tuple(latencies), tuple(services), end - begin)


def _wait_until(moment: float, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
    while (left := moment - clock()) > 0:
        if left > SPIN:
            sleep(left - SPIN)
