"""Coverage: how often each interval that reports print holds a planted truth, looked at as often as the engine looks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import NormalDist
from typing import TYPE_CHECKING, TypeAlias

from olivelike.contracts.outcome import Interval, Measurement, Paired
from olivelike.evaluate.statistics.blocks import FEWEST_BLOCKS, blocked_quantile, blocked_quantile_ratio
from olivelike.evaluate.statistics.bootstrap import Rows, bootstrapped
from olivelike.evaluate.statistics.intervals import matched_difference_interval, median_interval, proportion_interval
from olivelike.evaluate.statistics.sequences import bounded_mean_sequence, quantile_sequence
from olivelike.testing.selftest.rates import Rate, covered

if TYPE_CHECKING:
    import numpy as np

BLOCKS, IN_BLOCK = 20, 24
BETWEEN, WITHIN = 0.02, 0.15
"""Deviation of a block's typical log time, and of runs inside it: what was seen on a shared machine, and more."""
STALLS, STALLED = 0.012, 10.0
"""In the second world this share of runs takes so many times as long: fewer than one in a block, and of the candidate alone."""
RATIO = 0.8
SAMPLES = 1_000
ACCURACY, DROP = 0.9, 0.01
PROCESSES = 24

Looks = Sequence[Interval]
Simulation: TypeAlias = "Callable[[np.random.Generator], tuple[Looks, float]]"


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


def _simulations() -> dict[str, Simulation]:
    found: dict[str, Simulation] = {}
    for stalls, world in ((0.0, ""), (STALLS, ", with rare stalls")):
        for share in (0.5, 0.9, 0.99):
            name = f"latency.p{share * 100:g}"
            found[f"{name}, after every block{world}"] = partial(_of_times, share, stalls)
            found[f"ratio of {name} to the baseline's, after every block{world}"] = partial(_of_ratios, share, stalls)
    return found | {
        "median over processes (cold start), after every one": _of_processes,
        "median over a settled number of processes (memory)": _of_settled,
        "accuracy (Wilson)": _of_accuracy,
        "drop of accuracy (matched pairs)": _of_drop,
        "drop of accuracy while samples come in (betting), at every doubling": _of_betting,
        "mean of scores between 0 and 1 (betting)": _of_scores,
        "bootstrap of a ratio of sums": partial(_of_bootstrap, paired=False),
        "bootstrap of its difference to the baseline's": partial(_of_bootstrap, paired=True),
    }


def _times(draw: np.random.Generator, factor: float, common: Sequence[float], stalls: float) -> list[list[float]]:
    """Draws log-normal run times in blocks, some of them stalled; `common` disturbs both models of a pair alike, by block."""
    import numpy as np

    blocks = []
    for shared in common:
        times = factor * np.exp(shared + draw.normal(0, BETWEEN) + draw.normal(0, WITHIN, IN_BLOCK))
        blocks.append(np.where(draw.random(IN_BLOCK) < stalls, STALLED * times, times).tolist())
    return blocks


def _quantile(share: float, stalls: float) -> float:
    """Returns the true quantile of a run's time: of a mixture of two log-normals, by bisection."""
    usual, low, high = NormalDist(0, math.hypot(BETWEEN, WITHIN)), -3.0, 6.0
    for _ in range(60):
        middle = (low + high) / 2
        below = (1 - stalls) * usual.cdf(middle) + stalls * usual.cdf(middle - math.log(STALLED))
        low, high = (middle, high) if below < share else (low, middle)
    return math.exp(low)


def _of_times(share: float, stalls: float, draw: np.random.Generator) -> tuple[Looks, float]:
    blocks = _times(draw, 1.0, [0.0] * BLOCKS, stalls)
    looks = [blocked_quantile(blocks[:count], share) for count in range(FEWEST_BLOCKS, BLOCKS + 1)]
    return looks, _quantile(share, stalls)


def _of_ratios(share: float, stalls: float, draw: np.random.Generator) -> tuple[Looks, float]:
    """The median ratio by pairs is that of typical runs; of another quantile, the quotient. Only the candidate stalls."""
    common = draw.normal(0, 0.02, BLOCKS).tolist()
    upper, lower = _times(draw, RATIO, common, stalls), _times(draw, 1.0, common, 0.0)
    looks = [blocked_quantile_ratio(upper[:count], lower[:count], share) for count in range(FEWEST_BLOCKS, BLOCKS + 1)]
    return looks, RATIO * _quantile(share, stalls) / _quantile(share, 0.0)


def _of_processes(draw: np.random.Generator) -> tuple[Looks, float]:
    """Log-normal, and one in twenty takes three times as long."""
    import numpy as np

    times = np.exp(draw.normal(0, 0.1, PROCESSES)) * np.where(draw.random(PROCESSES) < 0.05, 3.0, 1.0)
    usual, low, high = NormalDist(0, 0.1), -1.0, 2.0
    for _ in range(60):
        middle = (low + high) / 2
        below = 0.95 * usual.cdf(middle) + 0.05 * usual.cdf(middle - math.log(3.0))
        low, high = (middle, high) if below < 0.5 else (low, middle)
    looks = [quantile_sequence(times[:count].tolist(), 0.5) for count in range(8, PROCESSES + 1)]
    return looks, math.exp(low)


def _of_settled(draw: np.random.Generator) -> tuple[Looks, float]:
    return [median_interval(draw.exponential(size=6).tolist())], math.log(2)


def _of_scores(draw: np.random.Generator) -> tuple[Looks, float]:
    return [bounded_mean_sequence(draw.beta(4, 1, SAMPLES).tolist(), 0.0, 1.0)], 0.8


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
