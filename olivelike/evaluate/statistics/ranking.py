"""Statistics of ranks (AUROC, Spearman), for many weightings of the samples at once: samples are sorted only once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Order:
    """Samples in rising order, equal ones in one group.

    Attributes:
        samples: their numbers in that order.
        starts: the place in it where each group begins.
        group: the group of each sample, `[samples]`.
    """

    samples: NDArray[np.intp]
    starts: NDArray[np.intp]
    group: NDArray[np.intp]


def order(values: Floats) -> Order:
    """Sorts samples.

    Args:
        values: `[samples]`.
    """
    import numpy as np

    samples = np.argsort(values, kind="stable")
    ordered = values[samples]
    new = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    group = np.empty(len(values), np.intp)
    group[samples] = np.cumsum(new) - 1
    return Order(samples, np.flatnonzero(new), group)


def ranks(ordered: Order, weights: Floats) -> Floats:
    """Returns each sample's rank in each draw up to a constant, `[samples, draws]`; equal values share their middle rank."""
    import numpy as np

    inside = _by_group(ordered, weights[ordered.samples])
    return np.asarray((np.cumsum(inside, axis=0) - inside / 2)[ordered.group])


def auroc(ordered: Order, positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Returns the area under the ROC curve, `[draws]`: the share of pairs that the score puts in the right order.

    Equal scores count half (Mann & Whitney 1947; Hanley & McNeil 1982). NaN where a draw holds one class only.

    Args:
        ordered: the samples by their score.
        positive: whether each sample is of the positive class, `[samples]`.
        weights: `[samples, draws]`.
    """
    import numpy as np

    placed, right = weights[ordered.samples], positive[ordered.samples, None]
    ups = _by_group(ordered, placed * right)
    downs = _by_group(ordered, placed * ~right)
    below = np.cumsum(downs, axis=0)
    below -= downs / 2
    pairs = ups.sum(axis=0) * downs.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.einsum("gd,gd->d", ups, below) / pairs)


def _by_group(ordered: Order, placed: Floats) -> Floats:
    """Adds up the weights of equal samples, `[groups, draws]`."""
    import numpy as np

    whole = len(ordered.starts) == len(ordered.samples)
    return placed if whole else np.add.reduceat(placed, ordered.starts, axis=0)
