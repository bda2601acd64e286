"""Coverage: how often each interval that reports print holds a planted truth, looked at as often as the engine looks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import NormalDist
from typing import TYPE_CHECKING

from olivelike.contracts.outcome import Interval, Measurement, Paired
from olivelike.evaluate.statistics.blocks import (
    FEWEST_BLOCKS,
    blocked_mean,
    blocked_median_ratio,
    blocked_quantile,
    blocked_ratio,
)
from olivelike.evaluate.statistics.bootstrap import Rows, bootstrapped
from olivelike.evaluate.statistics.intervals import matched_difference_interval, proportion_interval, quantile
from olivelike.evaluate.statistics.sequences import bounded_mean_sequence
from olivelike.testing.selftest.rates import Rate, covered

if TYPE_CHECKING:
    import numpy as np

BLOCKS, IN_BLOCK = 20, 24
BETWEEN, WITHIN = 0.02, 0.15
"""Deviation of a block's typical log time, and of runs inside it: what was seen on a shared machine, and more."""
RATIO = 0.8
SAMPLES = 1_000
ACCURACY, DROP = 0.9, 0.01

Looks = Sequence[Interval]


def coverage_rates(tries: int, seed: int) -> Iterator[Rate]:
    """Yields for each interval how often it held the truth; where the engine looks more than once, at every look."""
    import numpy as np

    draw = np.random.default_rng(seed)
    for name, looks_and_truth in _simulations().items():
        held = 0
        for _ in range(tries):
            looks, truth = looks_and_truth(draw)
            held += all(look.low <= truth <= look.high for look in looks)
        yield covered(name, held, tries)


def _simulations() -> dict[str, Callable[[np.random.Generator], tuple[Looks, float]]]:
    spread = math.hypot(BETWEEN, WITHIN)
    p90 = math.exp(NormalDist(0, spread).inv_cdf(0.9))
    return {
        "latency.p50, after every block": partial(_of_times, partial(blocked_quantile, share=0.5), 1.0),
        "latency.p90, after every block": partial(_of_times, partial(blocked_quantile, share=0.9), p90),
        "latency.mean, after every block": partial(_of_times, blocked_mean, math.exp(spread**2 / 2)),
        "ratio of latency.p50 to the baseline's, after every block": partial(_of_ratios, blocked_median_ratio),
        "ratio of latency.p90 to the baseline's, after every block": partial(
            _of_ratios, partial(blocked_ratio, statistic=partial(quantile, share=0.9))
        ),
        "accuracy (Wilson)": _of_accuracy,
        "drop of accuracy (matched pairs)": _of_drop,
        "drop of accuracy while samples come in (betting), at every doubling": _of_betting,
        "bootstrap of a ratio of sums": partial(_of_bootstrap, paired=False),
        "bootstrap of its difference to the baseline's": partial(_of_bootstrap, paired=True),
    }


def _times(draw: np.random.Generator, factor: float, common: Sequence[float]) -> list[list[float]]:
    """Draws log-normal run times in blocks; `common` is what disturbs both models of a pair alike, by block."""
    import numpy as np

    logs = [shared + draw.normal(0, BETWEEN) + draw.normal(0, WITHIN, IN_BLOCK) for shared in common]
    return [(factor * np.exp(block)).tolist() for block in logs]


def _of_times(
    interval: Callable[[Sequence[Sequence[float]]], Interval], truth: float, draw: np.random.Generator
) -> tuple[Looks, float]:
    blocks = _times(draw, 1.0, [0.0] * BLOCKS)
    return [interval(blocks[:count]) for count in range(FEWEST_BLOCKS, BLOCKS + 1)], truth


def _of_ratios(
    interval: Callable[[Sequence[Sequence[float]], Sequence[Sequence[float]]], Interval], draw: np.random.Generator
) -> tuple[Looks, float]:
    common = draw.normal(0, 0.1, BLOCKS).tolist()
    upper, lower = _times(draw, RATIO, common), _times(draw, 1.0, common)
    return [interval(upper[:count], lower[:count]) for count in range(FEWEST_BLOCKS, BLOCKS + 1)], RATIO


def _of_accuracy(draw: np.random.Generator) -> tuple[Looks, float]:
    return [proportion_interval(int(draw.binomial(SAMPLES, ACCURACY)), SAMPLES)], ACCURACY


def _of_drop(draw: np.random.Generator) -> tuple[Looks, float]:
    gained, lost, _ = draw.multinomial(SAMPLES, [0.01, 0.01 + DROP, 0.98 - DROP]).tolist()
    return [matched_difference_interval(gained, lost, SAMPLES)], -DROP


def _of_betting(draw: np.random.Generator) -> tuple[Looks, float]:
    gaps = draw.choice([1.0, -1.0, 0.0], SAMPLES, p=[0.01, 0.01 + DROP, 0.98 - DROP]).tolist()
    return [bounded_mean_sequence(gaps[:count], -1.0, 1.0) for count in (128, 256, 512, SAMPLES)], -DROP


def _of_bootstrap(draw: np.random.Generator, *, paired: bool) -> tuple[Looks, float]:
    """Errors over words of 200 sentences, as word error rates are: a rate of 0.1, and of 0.08 for the baseline."""
    import numpy as np

    words = draw.integers(5, 30, 200)
    hard = draw.gamma(4, 0.25, 200)
    own, other = (draw.binomial(words, np.minimum(rate * hard, 1.0)) for rate in (0.1, 0.08))
    rows: list[Rows] = [{"errors": errors, "words": words} for errors in (own, other)]
    found = bootstrapped(_error_rate, rows[0], rows[1], better="lower", seed=int(draw.integers(1 << 30)))
    assert isinstance(found, Measurement)
    if not paired:
        return [found.interval], 0.1
    assert isinstance(found.versus, Paired)
    return [found.versus.interval], 0.02


def _error_rate(rows: Rows) -> float:
    return float(rows["errors"].sum() / rows["words"].sum())
