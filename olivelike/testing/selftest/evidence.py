"""The self-test of evidence as a whole: which parts there are, how many tries each gets, and in what order they run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from olivelike.testing.selftest.coverage import coverage_rates
from olivelike.testing.selftest.quality import TRIES as QUALITY_TRIES
from olivelike.testing.selftest.quality import quality_rates
from olivelike.testing.selftest.rates import Rate
from olivelike.testing.selftest.timing import TRIES as TIMING_TRIES
from olivelike.testing.selftest.timing import timing_rates


class Part(StrEnum):
    """What can be tested alone."""

    QUALITY = "quality"
    COVERAGE = "coverage"
    TIMING = "timing"


@dataclass(frozen=True, slots=True)
class Tries:
    """How often each planted truth is tried."""

    quality: int = QUALITY_TRIES
    coverage: int = 1_000
    itself: int = TIMING_TRIES
    slowed: int = 100


QUICK = Tries(quality=60, coverage=100, itself=10, slowed=10)
"""For a first look in about a minute; so few tries show gross faults only."""


def evidence_rates(parts: tuple[Part, ...], tries: Tries, seed: int) -> Iterator[Rate]:
    """Yields every rate as it is found; timing comes last, when nothing else runs.

    Args:
        parts: which to run; none means all.
        tries: how often each planted truth is tried.
        seed: of what is drawn.
    """
    wanted = parts or tuple(Part)
    if Part.QUALITY in wanted:
        yield from quality_rates(tries.quality, seed)
    if Part.COVERAGE in wanted:
        yield from coverage_rates(tries.coverage, seed)
    if Part.TIMING in wanted:
        yield from timing_rates(tries.itself, tries.slowed, seed)
