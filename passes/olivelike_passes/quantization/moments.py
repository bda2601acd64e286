"""Sums over the vectors that flow through a value: of each channel, and of the products of every pair of channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias, cast

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values: TypeAlias = NDArray[np.generic]
    Floats: TypeAlias = NDArray[np.float32]

ELEMENTS = 1 << 17
"""Of a piece whose float32 copies stay in a processor's cache."""
ROWS = 4096
"""Products of so many vectors are summed in float32, whose relative error stays below 1e-6, before float64 takes them."""


class Moments:
    """Mean, mean magnitude, mean square and extremes of every channel of a value, batch by batch.

    Attributes:
        channels: how many there are.
        rows: how many vectors were seen.
        low: the lowest number of every channel, float32 `[channels]`; 0 where nothing was seen.
        high: the highest.
    """

    def __init__(self, channels: int) -> None:
        import numpy as np

        self.channels = channels
        self.rows = 0
        self.low = np.zeros(channels, np.float32)
        self.high = np.zeros(channels, np.float32)
        self._sums = np.zeros((3, channels))

    def see(self, values: Values, axis: int) -> None:
        """Takes in one batch's values, whose channels lie on some axis; what is not finite counts as zero."""
        import numpy as np

        for rows in _pieces(values, axis, ELEMENTS // max(self.channels, 1) or 1):
            magnitudes = np.abs(rows)
            self._sums[0] += magnitudes.sum(axis=0)
            self._sums[1] += rows.sum(axis=0)
            self._sums[2] += np.einsum("ij,ij->j", rows, rows)
            low, high = rows.min(axis=0), rows.max(axis=0)
            self.low, self.high = (np.minimum(low, self.low), np.maximum(high, self.high)) if self.rows else (low, high)
            self.rows += len(rows)

    @property
    def peak(self) -> Floats:
        """The largest magnitude of every channel."""
        import numpy as np

        return np.maximum(-self.low, self.high)

    @property
    def mean_magnitude(self) -> Floats:
        """The mean of `|x|` of every channel."""
        return self._mean(0)

    @property
    def mean(self) -> Floats:
        """The mean of every channel."""
        return self._mean(1)

    @property
    def mean_square(self) -> Floats:
        """The mean of `x^2` of every channel."""
        return self._mean(2)

    def _mean(self, kind: int) -> Floats:
        import numpy as np

        return cast("Floats", (self._sums[kind] / max(self.rows, 1)).astype(np.float32))


def add_products(values: Values, total: NDArray[np.float64], start: int) -> None:
    """Adds rows of `X^T X` to a total.

    Args:
        values: X, `[..., channels]`.
        total: `[some rows, channels]`, changed in place.
        start: the first of those rows.
    """
    if not total.size:
        return
    for rows in _pieces(values, -1, ROWS):
        if len(total) == total.shape[1]:
            total += rows.T @ rows  # numpy sees that both are one array, and computes half of it
        else:
            total += rows[:, start : start + len(total)].T @ rows


def _pieces(values: Values, axis: int, most: int) -> Iterator[Floats]:
    """Yields a value's vectors of channels, `[at most so many, channels]`, finite and in float32."""
    import numpy as np

    channels = values.shape[axis] if values.ndim else 1
    if axis in (-1, values.ndim - 1) or not values.ndim:
        parts = [values.reshape(-1, channels)]
    else:
        parts = [sample.reshape(channels, -1).T for sample in values]
    for part in parts:
        for begin in range(0, len(part), most):
            rows = cast("Floats", part[begin : begin + most].astype(np.float32, copy=False))
            yield rows if np.isfinite(rows).all() else np.where(np.isfinite(rows), rows, np.float32(0))
