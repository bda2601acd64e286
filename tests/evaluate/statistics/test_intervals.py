"""Known answers are published tables, worked out by hand, or scipy's; coverage is counted exactly or simulated with a seed."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from olivelike.evaluate.statistics.intervals import (
    blocked_mean_interval,
    blocked_quantile_interval,
    matched_difference_interval,
    mean_interval,
    median_ratio_interval,
    order_statistic_interval,
    proportion_interval,
    quantile,
    statistic_ratio_interval,
)

SAMPLES = st.lists(st.floats(0.1, 10), min_size=2, max_size=60)


@given(SAMPLES, st.floats(0, 1))
def test_quantile_is_numpys_default(samples: list[float], share: float) -> None:
    assert quantile(samples, share) == pytest.approx(float(np.quantile(samples, share)), rel=1e-12)


@pytest.mark.parametrize(("n", "low", "high"), [(10, 2, 9), (20, 6, 15), (50, 18, 33), (100, 40, 61)])
def test_median_ranks_are_those_of_published_tables(n: int, low: int, high: int) -> None:
    """Two-sided 95 % ranks for the median, as tabulated by Conover (Practical Nonparametric Statistics, 1999, A3)."""
    interval = order_statistic_interval([float(rank) for rank in range(1, n + 1)], 0.5)
    assert (interval.low, interval.high) == (low, high)


@pytest.mark.parametrize(("n", "share"), [(100, 0.5), (100, 0.9), (37, 0.9), (1000, 0.5), (500, 0.99)])
def test_order_statistics_cover_at_least_as_promised_and_no_tighter_pair_of_ranks_does(n: int, share: float) -> None:
    interval = order_statistic_interval([float(rank) for rank in range(1, n + 1)], share)
    low, high = int(interval.low), int(interval.high)
    below = stats.binom(n, share)
    assert below.cdf(low - 1) <= 0.025 < below.cdf(low)
    assert 1 - below.cdf(high - 1) <= 0.025 < 1 - below.cdf(high - 2)


def test_too_few_samples_certify_nothing() -> None:
    assert order_statistic_interval([1.0, 2.0, 3.0], 0.5).high == math.inf
    assert order_statistic_interval([1.0] * 35, 0.9).high == math.inf
    assert order_statistic_interval([1.0] * 36, 0.9).high == 1


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


def blocks_of(generator: np.random.Generator, between: float) -> list[list[float]]:
    """Ten blocks of ten standard normal samples, each block shifted by a normal amount with the deviation `between`."""
    return [(generator.normal(0, between) + generator.normal(size=10)).tolist() for _ in range(10)]


@pytest.mark.parametrize("between", [0.0, 1.0, 3.0])
def test_blocked_median_covers_the_truth_also_when_blocks_disagree(between: float) -> None:
    """600 seeded runs: with a true coverage of 0.95, fewer than 0.925 of them has a chance below 0.5 %."""
    generator = np.random.default_rng(7)
    intervals = [blocked_quantile_interval(blocks_of(generator, between), 0.5) for _ in range(600)]
    assert sum(interval.low <= 0 <= interval.high for interval in intervals) / 600 >= 0.925


def test_taking_runs_for_independent_would_have_been_wrong() -> None:
    generator = np.random.default_rng(7)
    pooled = [[sample for block in blocks_of(generator, 3.0) for sample in block] for _ in range(200)]
    covered = [order_statistic_interval(samples, 0.5) for samples in pooled]
    assert sum(interval.low <= 0 <= interval.high for interval in covered) / 200 < 0.8


@given(st.lists(st.lists(st.floats(0.1, 10), min_size=8, max_size=8), min_size=8, max_size=8))
def test_every_interval_over_blocks_holds_its_value(blocks: list[list[float]]) -> None:
    reversed_blocks = blocks[::-1]
    for interval in (
        blocked_quantile_interval(blocks, 0.5),
        blocked_mean_interval(blocks),
        median_ratio_interval(blocks, reversed_blocks),
        statistic_ratio_interval(blocks, reversed_blocks, np.mean),
    ):
        assert interval.low <= interval.value <= interval.high


def test_a_constant_ratio_is_found_exactly_whatever_the_blocks_do() -> None:
    generator = np.random.default_rng(3)
    lower: Sequence[Sequence[float]] = [generator.uniform(1, 9, 20).tolist() for _ in range(10)]
    upper = [[1.25 * sample for sample in block] for block in lower]
    for interval in (median_ratio_interval(upper, lower), statistic_ratio_interval(upper, lower, np.mean)):
        assert (interval.value, interval.low, interval.high) == pytest.approx((1.25, 1.25, 1.25), rel=1e-12)
