"""The self-test itself: its bounds, its parts, and that it finds a fault that is put in."""

from __future__ import annotations

import pytest

from olivelike.contracts.outcome import Interval
from olivelike.testing.selftest import coverage
from olivelike.testing.selftest.evidence import Part, Tries, evidence_rates
from olivelike.testing.selftest.rates import Rate, covered, most_errors


def test_bounds_are_those_that_were_promised() -> None:
    assert most_errors(400, 400, 28) == 28
    assert Rate("x", 28, 400, most=28).holds
    assert not Rate("x", 29, 400, most=28).holds
    assert not Rate("x", 94, 100, least=95).holds


def test_coverage_of_95_percent_fails_its_bound_once_in_two_hundred_at_most() -> None:
    assert covered("x", 0, 1000).least == 931
    assert not covered("x", 930, 1000).holds


def test_quality_and_coverage_hold_with_few_tries() -> None:
    rates = list(evidence_rates((Part.QUALITY, Part.COVERAGE), Tries(quality=20, coverage=40), seed=3))
    assert [rate.name for rate in rates if not rate.holds] == []
    assert len(rates) == 5 + 20


def test_an_interval_that_is_too_narrow_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def narrow(successes: int, n: int) -> Interval:
        share = successes / n
        return Interval(share, share - 0.001, share + 0.001)

    monkeypatch.setattr(coverage, "proportion_interval", narrow)
    rates = {rate.name: rate for rate in evidence_rates((Part.COVERAGE,), Tries(coverage=40), seed=0)}
    assert not rates["accuracy (Wilson)"].holds


@pytest.mark.slow
def test_the_machine_part_runs_and_counts() -> None:
    """Its bounds are for a machine that does nothing else; here only that every comparison is counted."""
    rates = list(evidence_rates((Part.TIMING,), Tries(itself=3, slowed=3), seed=0))
    assert [rate.of for rate in rates] == [3, 3]
