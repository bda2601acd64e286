"""Known answers are published tables, worked out by hand, or scipy's; coverage is counted exactly or simulated with a seed."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from olivelike.evaluate.statistics.intervals import (
    matched_difference_interval,
    median_interval,
    proportion_interval,
    quantile,
)

SAMPLES = st.lists(st.floats(0.1, 10), min_size=2, max_size=60)


@given(SAMPLES, st.floats(0, 1))
def test_quantile_is_numpys_default(samples: list[float], share: float) -> None:
    assert quantile(samples, share) == pytest.approx(float(np.quantile(samples, share)), rel=1e-12)


@pytest.mark.parametrize(("n", "low", "high"), [(10, 2, 9), (20, 6, 15), (50, 18, 33), (100, 40, 61)])
def test_median_ranks_are_those_of_published_tables(n: int, low: int, high: int) -> None:
    """Two-sided 95 % ranks for the median, as tabulated by Conover (Practical Nonparametric Statistics, 1999, A3)."""
    interval = median_interval([float(rank) for rank in range(1, n + 1)])
    assert (interval.low, interval.high) == (low, high)


def test_a_median_takes_six_samples() -> None:
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0]).high == math.inf
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).high == 6


def test_wilson_interval_agrees_with_scipy() -> None:
    for successes, n in [(0, 10), (1, 10), (81, 263), (3600, 4000), (10, 10)]:
        interval, known = (
            proportion_interval(successes, n),
            stats.binomtest(successes, n).proportion_ci(method="wilson"),
        )
        assert (interval.low, interval.high) == pytest.approx((known.low, known.high), abs=1e-12)


@pytest.mark.parametrize(
    ("gained", "lost", "n", "low", "high"), [(1, 7, 21, -0.517, -0.026), (6, 16, 161, -0.124, -0.005)]
)
def test_matched_difference_has_known_answers(gained: int, lost: int, n: int, low: float, high: float) -> None:
    """Tango's intervals of the two tables discussed by Fagerland, Lydersen & Laake (2014)."""
    interval = matched_difference_interval(gained, lost, n)
    assert interval.value == (gained - lost) / n
    assert (round(interval.low, 3), round(interval.high, 3)) == (low, high)


@pytest.mark.parametrize(("up", "down", "n"), [(0.008, 0.018, 4000), (0.002, 0.012, 4000), (0.005, 0.015, 1000)])
def test_a_loss_that_is_too_large_is_accepted_no_more_often_than_promised(up: float, down: float, n: int) -> None:
    """20,000 seeded draws at the limit itself: at 2.5 % more than 571 acceptances have a chance below 0.1 %."""
    counts = np.random.default_rng(2).multinomial(n, [up, down, 1 - up - down], 20_000)
    accepted = sum(
        times
        for (gained, lost), times in zip(*np.unique(counts[:, :2], axis=0, return_counts=True), strict=True)
        if -matched_difference_interval(int(gained), int(lost), n).low <= down - up
    )
    assert accepted <= 571


def test_no_disagreement_is_no_certainty() -> None:
    interval = matched_difference_interval(0, 0, 100)
    assert interval.value == 0
    assert interval.low == pytest.approx(-interval.high)
    assert interval.low < 0


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 50))
def test_matched_difference_holds_its_value_and_mirrors(gained: int, lost: int, rest: int) -> None:
    n = gained + lost + rest
    interval, mirror = matched_difference_interval(gained, lost, n), matched_difference_interval(lost, gained, n)
    assert -1 <= interval.low <= interval.value <= interval.high <= 1
    assert (interval.low, interval.high) == pytest.approx((-mirror.high, -mirror.low), abs=1e-12)


@pytest.mark.parametrize(("up", "down"), [(0.02, 0.02), (0.05, 0.01), (0.1, 0.1), (0.2, 0.05)])
def test_matched_difference_covers_the_truth(up: float, down: float) -> None:
    """Counted exactly over all tables of 60 samples; 0.94 leaves room for the discreteness of counts."""
    n, covered = 60, 0.0
    for gained in range(n + 1):
        for lost in range(n + 1 - gained):
            interval = matched_difference_interval(gained, lost, n)
            if interval.low <= up - down <= interval.high:
                covered += float(stats.multinomial.pmf([gained, lost, n - gained - lost], n, [up, down, 1 - up - down]))
    assert covered >= 0.94
