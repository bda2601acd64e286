"""Which elements of a weight become zero: the smallest of all, or the smallest of each few in a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.generic]


def without_smallest(values: Array, share: float) -> Array:
    """Returns a copy in which a share of the elements, those of least magnitude, is zero.

    Of equal magnitudes the first ones go, so that just the share is reached: S. Han et al., "Learning both weights and
    connections", 2015 (arXiv 1506.02626), without their training.

    Args:
        values: finite numbers of any shape.
        share: from 0 to 1; rounded down to whole elements.
    """
    import numpy as np

    count = int(share * values.size)
    if not count:
        return values.copy()
    magnitudes = np.abs(values.reshape(-1).astype(np.float32))
    border = np.partition(magnitudes, count - 1)[count - 1]
    gone = magnitudes < border
    ties = np.flatnonzero(magnitudes == border)[: count - int(np.count_nonzero(gone))]
    gone[ties] = True
    kept = values.reshape(-1).copy()
    kept[gone] = 0
    return kept.reshape(values.shape)


def few_of_each(values: Array, axis: int, keep: int, of: int) -> Array:
    """Returns a copy in which of each `of` neighbours along an axis the `keep` largest are left and the rest is zero.

    The pattern of A. Mishra et al., "Accelerating sparse deep neural networks", 2021 (arXiv 2104.08378); a rest at the end of the
    axis stays whole. Of equal magnitudes the first ones stay.
    """
    import numpy as np

    moved = np.array(np.moveaxis(values, axis, -1), order="C")
    whole = moved.shape[-1] // of * of
    groups = moved[..., :whole].reshape(*moved.shape[:-1], -1, of)
    order = np.argsort(-np.abs(groups.astype(np.float32)), axis=-1, kind="stable")
    np.put_along_axis(groups, order[..., keep:], np.zeros((), groups.dtype), axis=-1)
    moved[..., :whole] = groups.reshape(*moved.shape[:-1], whole)
    return np.ascontiguousarray(np.moveaxis(moved, -1, axis))
