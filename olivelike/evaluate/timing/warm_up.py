"""Warming up: untimed runs until the times stop falling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

Runner: TypeAlias = Callable[[], float]
"""Runs a model once and returns the seconds that this took."""

WINDOW = 5
STILL_FALLING = 0.98
FEWEST = 2


@dataclass(frozen=True, slots=True)
class WarmUp:
    """How models were warmed up.

    Attributes:
        runs: of each.
        seconds: the median of the last of them.
        each: the same of each model by itself.
    """

    runs: int
    seconds: float
    each: tuple[float, ...]


def warm_up(runners: Sequence[Runner], most: int, seconds: float, clock: Callable[[], float], *, fresh: bool) -> WarmUp:
    """Runs models untimed, in turns, until none gets faster any more.

    A model still gets faster while the median of its last five runs is more than two percent below that of the five before.
    Models that were warm before this (`fresh` is false) are run twice.

    Args:
        runners: one for each model.
        most: runs of each model at most.
        seconds: no more runs are begun after so long, but two of each are made in any case.
        clock: seconds.
        fresh: whether the models were just loaded.
    """
    begin = clock()
    times: tuple[list[float], ...] = tuple([] for _ in runners)
    while True:
        for seen, runner in zip(times, runners, strict=True):
            seen.append(runner())
        count = len(times[0])
        over = count >= most or clock() - begin > seconds
        if count >= min(FEWEST, most) and (over or not fresh or not any(map(_falls, times))):
            last = [seen[-WINDOW:] for seen in times]
            return WarmUp(count, median(run for seen in last for run in seen), tuple(map(median, last)))


def _falls(seen: Sequence[float]) -> bool:
    """Whether a model may still be getting faster: too few runs to tell, or the last ones were faster than those before."""
    if len(seen) < 2 * WINDOW:
        return True
    return median(seen[-WINDOW:]) < STILL_FALLING * median(seen[-2 * WINDOW : -WINDOW])
