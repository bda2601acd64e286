"""Samples in blocks: coverage is simulated with a seed, under peeking after every block."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from olivelike.evaluate.statistics.blocks import (
    FEWEST_BLOCKS,
    blocked_median_ratio,
    blocked_quantile,
    blocked_quantile_ratio,
)
from olivelike.evaluate.statistics.sequences import quantile_sequence


def blocks_of(generator: np.random.Generator, between: float, count: int = 24) -> list[list[float]]:
    """Blocks of ten standard normal samples, each block shifted by a normal amount with the deviation `between`."""
    return [(generator.normal(0, between) + generator.normal(size=10)).tolist() for _ in range(count)]


@pytest.mark.parametrize("between", [0.0, 1.0, 3.0])
def test_blocked_median_covers_the_truth_at_every_look_also_when_blocks_disagree(between: float) -> None:
    """150 seeded runs, looked at after every block: with coverage 0.95, more than 14 misses have a chance below 1 %."""
    generator = np.random.default_rng(7)
    missed = 0
    for _ in range(150):
        blocks = blocks_of(generator, between)
        looks = [blocked_quantile(blocks[:count], 0.5) for count in range(FEWEST_BLOCKS, len(blocks) + 1)]
        missed += any(not look.low <= 0 <= look.high for look in looks)
    assert missed <= 14


def test_taking_runs_for_independent_would_have_been_wrong() -> None:
    generator = np.random.default_rng(7)
    pooled = [[sample for block in blocks_of(generator, 3.0) for sample in block] for _ in range(100)]
    covered = [quantile_sequence(samples, 0.5) for samples in pooled]
    assert sum(interval.low <= 0 <= interval.high for interval in covered) < 85


@given(st.lists(st.lists(st.floats(0.1, 10), min_size=8, max_size=8), min_size=8, max_size=8))
def test_every_interval_over_blocks_holds_its_value(blocks: list[list[float]]) -> None:
    reversed_blocks = blocks[::-1]
    for interval in (
        blocked_quantile(blocks, 0.5),
        blocked_quantile(blocks, 0.9),
        blocked_median_ratio(blocks, reversed_blocks),
        blocked_quantile_ratio(blocks, reversed_blocks, 0.9),
    ):
        assert interval.low <= interval.value <= interval.high


def test_a_constant_ratio_is_found_exactly_whatever_the_blocks_do() -> None:
    generator = np.random.default_rng(3)
    lower: Sequence[Sequence[float]] = [generator.uniform(1, 9, 20).tolist() for _ in range(10)]
    upper = [[1.25 * sample for sample in block] for block in lower]
    interval = blocked_quantile_ratio(upper, lower, 0.5)
    assert (interval.value, interval.low, interval.high) == pytest.approx((1.25, 1.25, 1.25), rel=1e-12)
    assert blocked_quantile_ratio(upper, lower, 0.9).value == pytest.approx(1.25)


def test_stalls_rarer_than_one_in_a_block_are_in_the_ratio_of_the_tails() -> None:
    """2 % of the candidate's runs take ten times as long, most blocks hold none: a ratio by blocks would see nothing."""
    generator = np.random.default_rng(5)
    lower = [generator.uniform(0.9, 1.1, 24).tolist() for _ in range(20)]
    upper = [[10.0 if generator.random() < 0.02 else sample for sample in block] for block in lower]
    assert blocked_quantile_ratio(upper, lower, 0.99).high > 8


def test_one_disturbed_block_moves_no_end_to_infinity() -> None:
    """An outlier block is one vote among twelve: medians of blocks, unlike their mean, do not follow it."""
    quiet = [[1.0, 1.01, 0.99]] * 11
    disturbed = blocked_median_ratio([*quiet, [9.0, 9.0, 9.0]], [*quiet, [1.0, 1.0, 1.0]])
    assert disturbed.high < 1.05
