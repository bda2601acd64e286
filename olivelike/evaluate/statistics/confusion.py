"""What can be read off a confusion matrix (precision, recall, F1, Matthews), for many weightings of the samples at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Codes: TypeAlias = NDArray[np.int64]

Average: TypeAlias = Literal["macro", "micro", "weighted", "binary"]

LEAST = 1e-12
"""Stands for zero in a denominator; counts are whole numbers, so nothing else is as small."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """The margins of a confusion matrix and its diagonal, each `[classes, draws]`.

    Attributes:
        hits: samples of the class that are predicted so.
        support: samples of the class.
        predicted: samples predicted to be of the class.
    """

    hits: Floats
    support: Floats
    predicted: Floats

    def of(self, classes: Codes) -> Confusion:
        """Returns the counts of some classes."""
        return Confusion(self.hits[classes], self.support[classes], self.predicted[classes])


def confusion(labels: Codes, predicted: Codes, classes: int, weights: Floats) -> Confusion:
    """Counts, each sample as often as its weight says.

    Args:
        labels: codes from 0, `[samples]`.
        predicted: likewise.
        classes: how many codes there are.
        weights: `[samples, draws]`.
    """
    hit = labels == predicted
    return Confusion(
        _by_class(labels[hit], classes, weights[hit]),
        _by_class(labels, classes, weights),
        _by_class(predicted, classes, weights),
    )


def precision(counts: Confusion) -> Floats:
    """Returns each class's precision; 0 for a class that occurs but is never predicted, NaN for one that never occurs."""
    import numpy as np

    share = counts.hits / np.maximum(counts.predicted, LEAST)
    return np.where(counts.support > 0, share, np.nan)


def recall(counts: Confusion) -> Floats:
    """Returns each class's recall, NaN for a class that never occurs."""
    import numpy as np

    return np.where(counts.support > 0, counts.hits / np.maximum(counts.support, LEAST), np.nan)


def f1(counts: Confusion) -> Floats:
    """Returns each class's F1, the harmonic mean of precision and recall; NaN for a class that never occurs."""
    import numpy as np

    share = 2 * counts.hits / np.maximum(counts.support + counts.predicted, LEAST)
    return np.where(counts.support > 0, share, np.nan)


def averaged(score: Floats, counts: Confusion, how: Literal["macro", "weighted"]) -> Floats:
    """Returns the mean over those classes that occur in a draw, shape `[draws]`; `weighted` by how often they occur."""
    import numpy as np

    share = (counts.support > 0).astype(np.float64) if how == "macro" else counts.support
    return np.asarray((np.nan_to_num(score) * share).sum(axis=0) / share.sum(axis=0))


def pooled(counts: Confusion) -> Confusion:
    """Returns the counts of all classes together, for the micro average: one row."""
    hits, support, predicted = (
        part.sum(axis=0, keepdims=True) for part in (counts.hits, counts.support, counts.predicted)
    )
    return Confusion(hits, support, predicted)


def matthews(counts: Confusion) -> Floats:
    """Returns the correlation of labels and predictions, shape `[draws]`; 0 where all predictions are of one class.

    Gorodkin 2004, Comparing two K-category assignments by a K-category correlation coefficient. NaN for constant labels.
    """
    import numpy as np

    total = counts.support.sum(axis=0)
    shared = counts.hits.sum(axis=0) * total - (counts.support * counts.predicted).sum(axis=0)
    spread = total**2 - (counts.support**2).sum(axis=0)
    spread_predicted = total**2 - (counts.predicted**2).sum(axis=0)
    found = shared / np.sqrt(np.maximum(spread * spread_predicted, LEAST))
    return np.where(spread > 0, found, np.nan)


def _by_class(codes: Codes, classes: int, weights: Floats) -> Floats:
    import numpy as np
    from scipy.sparse import csr_array

    members = csr_array((np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=(classes, len(codes)))
    return np.asarray(members @ weights)
