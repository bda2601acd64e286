"""Known answers are published tables, worked out by hand, or scipy's; coverage is counted exactly or simulated with a seed."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from olivelike.evaluate.statistics.intervals import (
    matched_difference_interval,
    mean_interval,
    proportion_interval,
    quantile,
)

SAMPLES = st.lists(st.floats(0.1, 10), min_size=2, max_size=60)


@given(SAMPLES, st.floats(0, 1))
def test_quantile_is_numpys_default(samples: list[float], share: float) -> None:
    assert quantile(samples, share) == pytest.approx(float(np.quantile(samples, share)), rel=1e-12)


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=30))
def test_mean_interval_is_students(samples: list[float]) -> None:
    interval = mean_interval(samples)
    half = stats.t.ppf(0.975, len(samples) - 1) * np.std(samples, ddof=1) / math.sqrt(len(samples))
    assert interval.high - interval.value == pytest.approx(half, rel=1e-6, abs=1e-12)


def test_a_single_sample_says_nothing_about_the_mean() -> None:
    assert (mean_interval([1.0]).low, mean_interval([1.0]).high) == (-math.inf, math.inf)


def test_wilson_interval_agrees_with_scipy() -> None:
    for successes, n in [(0, 10), (1, 10), (81, 263), (3600, 4000), (10, 10)]:
        interval, known = (
            proportion_interval(successes, n),
            stats.binomtest(successes, n).proportion_ci(method="wilson"),
        )
        assert (interval.low, interval.high) == pytest.approx((known.low, known.high), abs=1e-12)


@pytest.mark.parametrize(
    ("gained", "lost", "n", "low", "high"), [(1, 7, 21, -0.5084, -0.0134), (6, 16, 161, -0.1195, -0.0032)]
)
def test_matched_difference_has_known_answers(gained: int, lost: int, n: int, low: float, high: float) -> None:
    """The two tables discussed by Fagerland, Lydersen & Laake (2014), worked out by hand: 2/23 - 8/23 -+ 1.96 x 0.1263, ..."""
    interval = matched_difference_interval(gained, lost, n)
    assert interval.value == (gained - lost) / n
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


def test_no_disagreement_is_no_certainty() -> None:
    interval = matched_difference_interval(0, 0, 100)
    assert interval.value == 0
    assert interval.low == -interval.high < 0


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
