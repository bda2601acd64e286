"""The confidence sequence of a quantile: known answers by hand, validity under continuous peeking by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaln

from olivelike.evaluate.statistics.sequences import quantile_sequence


def test_a_median_takes_eight_samples_of_which_all_lie_on_one_side() -> None:
    """2^8 / 9 = 28.4 is the mixture's ratio when none of eight lies below, the first above 20; seven give 2^7 / 8 = 16."""
    assert quantile_sequence([float(n) for n in range(7)], 0.5).low == -math.inf
    eight = quantile_sequence([float(n) for n in range(8)], 0.5)
    assert (eight.low, eight.high) == (0, 7)


@pytest.mark.parametrize(("n", "share"), [(20, 0.5), (100, 0.5), (100, 0.9), (1000, 0.99)])
def test_ends_are_the_outermost_ranks_that_the_mixture_does_not_rule_out(n: int, share: float) -> None:
    found = quantile_sequence([float(rank) for rank in range(1, n + 1)], share)
    weight = max(2, 1 / share, 1 / (1 - share))
    a, b = share * weight, (1 - share) * weight

    def ratio(below: int) -> float:
        likely = below * math.log(share) + (n - below) * math.log1p(-share)
        return math.exp(min(betaln(a + below, b + n - below) - betaln(a, b) - likely, 99))

    kept = [below for below in range(n + 1) if ratio(below) < 20]
    assert kept == list(range(kept[0], kept[-1] + 1))
    assert found.low == (kept[0] or -math.inf)
    assert found.high == (kept[-1] + 1 if kept[-1] < n else math.inf)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_truth_is_inside_at_every_look(share: float) -> None:
    """300 seeded streams of 400, looked at after every tenth sample: 5 % may miss; more than 26 misses have a chance of 0.5 %."""
    generator = np.random.default_rng(11)
    missed = 0
    for _ in range(300):
        stream = generator.exponential(size=400).tolist()
        truth = -math.log(1 - share)
        looks = (quantile_sequence(stream[:n], share) for n in range(10, 401, 10))
        missed += any(not look.low <= truth <= look.high for look in looks)
    assert missed <= 26


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_the_value_is_inside(samples: list[float], share: float) -> None:
    found = quantile_sequence(samples, share)
    assert found.low <= found.value <= found.high


def test_more_samples_narrow_the_interval() -> None:
    stream = np.random.default_rng(5).normal(size=4000).tolist()
    widths = [found.high - found.low for found in (quantile_sequence(stream[:n], 0.5) for n in (40, 400, 4000))]
    assert widths[0] > 2 * widths[1] > 4 * widths[2]
