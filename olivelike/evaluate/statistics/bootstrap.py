"""The paired bootstrap: intervals for statistics that are no mean (F1, AUROC, a correlation, BLEU, a ratio of sums)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from olivelike.contracts.outcome import Interval, Measurement, Paired, Undefined, Unpaired, Value
from olivelike.evaluate.statistics.intervals import LEVEL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array
    from olivelike.contracts.outcome import Better

    Floats: TypeAlias = NDArray[np.float64]

Rows: TypeAlias = Mapping[str, "Array"]
"""Columns of what was observed, axis 0 counts samples."""

Statistic: TypeAlias = Callable[[Rows], float]
"""From rows to one number; not a number where it is undefined on them."""

Weighted: TypeAlias = Callable[["Floats"], "Floats"]
"""From weights `[samples, draws]`, how often each sample counts, to one number for each draw; NaN where it is undefined."""

RESAMPLES = 999
FEWEST_SAMPLES = 10
"""Below, a resample holds little but copies of the same samples, and percentiles of it mean nothing."""
FEWEST_DEFINED = 0.9
"""The share of resamples on which a statistic must be defined."""
BLOCK = 1 << 19
"""Weights held at once: 4 MiB, so that they and what is made of them stay near the processor."""


@dataclass(frozen=True, slots=True)
class Resampling:
    """How samples are drawn again.

    Attributes:
        samples: how many were observed.
        seed: of the draws.
        draws: how many resamples.
        planted: how many rows of the weights, after those of the observed samples, hold made-up disagreements: first
            as many that the candidate gets right and the baseline wrong, then as many the other way round. They stand
            for what so many samples could have missed: each draw is of two samples more, one of either kind. This is
            the adjustment of Bonett & Price (2012) for proportions, and keeps an interval from shrinking to a point
            because the models never disagree, or one of them is never wrong. They have no part in the value itself.
        mirrored: whether the ends are mirrored at the value (the basic interval, Davison & Hinkley 1997, Bootstrap Methods
            and their Application, section 5.2): for statistics that resampling biases, as samples drawn twice raise
            average precision. Percentiles would take that bias twice, this takes it off.
        level: of confidence.
    """

    samples: int
    seed: int
    draws: int = RESAMPLES
    planted: int = 0
    mirrored: bool = False
    level: float = LEVEL

    def observed(self) -> Floats:
        """Returns the weights that count each observed sample once, shape `[rows, 1]`."""
        import numpy as np

        return np.concatenate([np.ones((self.samples, 1)), np.zeros((2 * self.planted, 1))])

    def weights(self) -> Iterator[Floats]:
        """Yields the weights of all draws, a block of them at a time, shape `[rows, draws of the block]`."""
        import numpy as np

        generator = np.random.default_rng(self.seed)
        slots = self.samples + (2 if self.planted else 0)
        most = max(1, BLOCK // slots)
        for start in range(0, self.draws, most):
            count = min(most, self.draws - start)
            drawn = generator.integers(0, slots, (count, slots)) + np.arange(count)[:, None] * slots
            weights = np.bincount(drawn.ravel(), minlength=count * slots).reshape(count, slots)
            counted = np.ascontiguousarray(weights.T, dtype=np.float64)
            yield self._spread(counted, generator) if self.planted else counted

    def _spread(self, weights: Floats, generator: np.random.Generator) -> Floats:
        """Gives the last two slots' weight to one planted row each, chosen anew in every draw."""
        import numpy as np

        draws = weights.shape[1]
        planted, every = np.zeros((2 * self.planted, draws)), np.arange(draws)
        for kind in range(2):
            rows = kind * self.planted + generator.integers(0, self.planted, draws)
            planted[rows, every] = weights[self.samples + kind]
        return np.concatenate([weights[: self.samples], planted])


def bootstrapped(
    statistic: Statistic,
    own: Rows,
    other: Rows,
    *,
    better: Better,
    seed: int,
    unit: str = "1",
    undefined: str = "",
    level: float = LEVEL,
) -> Value:
    """Returns a statistic of the candidate's rows with its interval, and its difference to the baseline's.

    As `reweighted` does, for a statistic that has to see the rows themselves; it is called twice for each resample.

    Args:
        statistic: of rows.
        own: the candidate's.
        other: the baseline's, of the same samples in the same order; empty where nothing is compared.
        better: which direction is better.
        seed: of the resampling.
        unit: of the value.
        undefined: why the statistic can be undefined on some data, for the reader.
        level: of confidence.
    """
    resampling = Resampling(min(len(column) for column in own.values()), seed, level=level)
    theirs = _on_rows(statistic, other) if other else None
    return reweighted(_on_rows(statistic, own), theirs, resampling, better=better, unit=unit, undefined=undefined)


def reweighted(
    own: Weighted,
    other: Weighted | None,
    resampling: Resampling,
    *,
    better: Better,
    unit: str = "1",
    undefined: str = "",
) -> Value:
    """Returns a statistic of the candidate with its interval, and its difference to the baseline's.

    The same resampled samples are taken of both models, so that what makes samples hard for both cancels (Koehn 2004,
    Statistical significance tests for machine translation evaluation). Percentile intervals (Efron & Tibshirani 1993,
    An Introduction to the Bootstrap, chapter 13); their coverage is approximate and needs some tens of samples at least.
    Fewer than ten give no value.

    Args:
        own: the candidate's statistic under weights of the samples.
        other: the baseline's, of the same samples in the same order; None where nothing is compared.
        resampling: how samples are drawn again.
        better: which direction is better.
        unit: of the value.
        undefined: why the statistic can be undefined on some data, for the reader.
    """
    import numpy as np

    reason = undefined or "it is undefined on these data"
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(own(resampling.observed())[0])
        base = float(other(resampling.observed())[0]) if other else 0.0
    if not np.isfinite([value, base]).all():
        return Undefined(reason if not np.isfinite(value) else f"of the baseline: {reason}")
    if resampling.samples < FEWEST_SAMPLES:
        claim = f"{resampling.samples} samples are too few for an interval: at least {FEWEST_SAMPLES} are needed"
        return Undefined(f"{claim}, some hundreds are better")
    if resampling.draws * (1 - resampling.level) / 2 < 1:
        claim = f"{resampling.draws} resamples cannot bound a value at {resampling.level:.5g}"
        return Undefined(f"{claim}; ask for a larger error rate")
    values, gaps = _resampled(own, other, resampling)
    if min(len(values), len(gaps)) < FEWEST_DEFINED * resampling.draws:
        return Undefined(
            f"{undefined or 'it is undefined on many resamples'}: {resampling.samples} samples are too few"
        )
    found = _interval(value, values, resampling)
    versus = Paired("difference", _interval(value - base, gaps, resampling)) if other else Unpaired()
    return Measurement(value, unit, better, found.low, found.high, resampling.samples, versus)


def _resampled(own: Weighted, other: Weighted | None, resampling: Resampling) -> tuple[Floats, Floats]:
    """Returns the statistic of the resamples on which it is defined, and the differences where both models' are."""
    import numpy as np

    values, bases = [], []
    with np.errstate(divide="ignore", invalid="ignore"):
        for weights in resampling.weights():
            values.append(own(weights))
            bases.append(other(weights) if other else values[-1])
    ours, theirs = np.concatenate(values), np.concatenate(bases)
    gaps = ours - theirs
    return ours[np.isfinite(ours)], gaps[np.isfinite(gaps)]


def _interval(value: float, resampled: Floats, resampling: Resampling) -> Interval:
    import numpy as np

    tail = (1 - resampling.level) / 2
    low, high = (float(end) for end in np.quantile(resampled, [tail, 1 - tail]))
    if resampling.mirrored:
        low, high = 2 * value - high, 2 * value - low
    return Interval(value, min(low, value), max(high, value))


def _on_rows(statistic: Statistic, rows: Rows) -> Weighted:
    import numpy as np

    def one(counts: Floats) -> float:
        taken = np.repeat(np.arange(len(counts)), counts.astype(np.intp))
        return statistic({name: column[taken] for name, column in rows.items()})

    return lambda weights: np.array([one(counts) for counts in weights.T])
