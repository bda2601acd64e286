"""How well numbers fit numbers (correlation, errors, R²), for many weightings of the samples at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from olivelike.evaluate.statistics.ranking import order, ranks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.evaluate.statistics.bootstrap import Weighted

    Floats: TypeAlias = NDArray[np.float64]

FLAT = 1e-13
"""The share of a sum of squares below which a variance is rounding error."""


def mean(values: Floats) -> Weighted:
    """Returns the mean, `[draws]`, of values `[samples]`."""
    return lambda weights: values @ weights / weights.sum(axis=0)


def pearson(answers: Floats, labels: Floats) -> Weighted:
    """Returns Pearson's correlation; NaN where either side is constant."""
    import numpy as np

    a, b = _centred(answers), _centred(labels)
    columns = np.stack([a, b, a * a, b * b, a * b])
    return lambda weights: _correlation(*(columns @ weights / weights.sum(axis=0)))


def spearman(answers: Floats, labels: Floats) -> Weighted:
    """Returns Spearman's correlation, Pearson's of the ranks; NaN where either side is constant."""
    first, second = order(answers), order(labels)

    def weighted(weights: Floats) -> Floats:
        total = weights.sum(axis=0)
        a, b = (ranks(each, weights) / total - 0.5 for each in (first, second))
        return _correlation(*((weights * part).sum(axis=0) / total for part in (a, b, a * a, b * b, a * b)))

    return weighted


def mean_squared_error(answers: Floats, labels: Floats) -> Weighted:
    """Returns the mean of the squared differences."""
    return mean((answers - labels) ** 2)


def root_mean_squared_error(answers: Floats, labels: Floats) -> Weighted:
    """Returns the root of the mean of the squared differences."""
    import numpy as np

    squared = mean_squared_error(answers, labels)
    return lambda weights: np.sqrt(squared(weights))


def mean_absolute_error(answers: Floats, labels: Floats) -> Weighted:
    """Returns the mean of the absolute differences."""
    import numpy as np

    return mean(np.abs(answers - labels))


def r_squared(answers: Floats, labels: Floats) -> Weighted:
    """Returns the share of the labels' variance that is explained, at most 1 and negative without limit.

    NaN where the labels are constant.
    """
    import numpy as np

    centred = _centred(labels)
    squared, first, second = mean_squared_error(answers, labels), mean(centred), mean(centred**2)

    def weighted(weights: Floats) -> Floats:
        square = second(weights)
        spread = square - first(weights) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(spread > FLAT * square, 1 - squared(weights) / spread, np.nan)

    return weighted


def _correlation(a: Floats, b: Floats, aa: Floats, bb: Floats, ab: Floats) -> Floats:
    """Returns the correlation from the means of two columns, of their squares and of their product."""
    import numpy as np

    spread_a, spread_b = aa - a * a, bb - b * b
    varied = (spread_a > FLAT * aa) & (spread_b > FLAT * bb)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (ab - a * b) / np.sqrt(spread_a * spread_b)
    return np.where(varied, np.clip(found, -1.0, 1.0), np.nan)


def _centred(values: Floats) -> Floats:
    """Returns values around their middle, so that sums of squares lose no digits to a large mean."""
    return values - float(values.mean())
