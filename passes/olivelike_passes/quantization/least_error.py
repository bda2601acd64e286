"""The range whose grid of so many bits represents the values seen with the least squared error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from olivelike_passes.quantization.sketch import Sketch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Doubles: TypeAlias = NDArray[np.float64]

COARSE = 65
"""Ends tried from the extreme down to 1/256 of it, each 8 % below the one before."""
FINE = 17
"""Ends tried between the neighbours of the best of these."""
SMALLEST = 2.0**-8


def least_error_range(sketch: Sketch, low: float, high: float, bits: int, *, symmetric: bool) -> tuple[float, float]:
    """Returns the ends, zero between them, at which rounding and clipping together cost least.

    Inside the range a value is off by `step^2 / 12` in the mean, except near zero, which is on every grid: there it is off by
    itself. Beyond the ends it is off by its distance (Banner et al., arXiv 1810.05723, section 3, with the histogram in place
    of their densities).

    Args:
        sketch: what was seen.
        low: the lowest value seen.
        high: the highest.
        bits: of the grid, 2 to 16.
        symmetric: whether zero lies in its middle.
    """
    import numpy as np

    if not sketch.count or low == high == 0:
        return low, high
    seen = _Seen.of(sketch)
    lowest, highest = min(low, 0.0), max(high, 0.0)
    reach = max(-lowest, highest)
    levels = (1 << bits) - (2 if symmetric else 1)
    down, up = np.geomspace(1, SMALLEST, COARSE), np.geomspace(1, SMALLEST, COARSE)
    for _ in range(2):
        if symmetric:
            cost = seen.cost(-reach * up, reach * up, levels)
            best = int(np.argmin(cost))
            across = best
        else:
            cost = seen.cost((lowest * down)[:, None], (highest * up)[None, :], levels)
            across, best = divmod(int(np.argmin(cost)), len(up))
        found = down[across], up[best]
        down, up = _around(down, across), _around(up, best)
    if symmetric:
        return max(low, -reach * found[1]), min(high, reach * found[1])
    return float(lowest * found[0]), float(highest * found[1])


@dataclass(frozen=True, slots=True)
class _Seen:
    """The middles of bins, and the sums of 1, x and x^2 over all values below each."""

    middles: Doubles
    sums: Doubles

    @classmethod
    def of(cls, sketch: Sketch) -> _Seen:
        import numpy as np

        low, high, counts = sketch.bins()
        middles = (low + high) / 2
        parts = np.stack([counts.astype(np.float64), counts * middles, counts * middles**2])
        return cls(middles, np.concatenate([np.zeros((3, 1)), np.cumsum(parts, axis=1)], axis=1))

    def cost(self, low: Doubles, high: Doubles, levels: int) -> Doubles:
        """Returns the sum of squared errors of grids from `low` to `high`."""
        import numpy as np

        step = (high - low) / levels
        below, above = self._before(low), self.sums[:, -1].reshape(3, *[1] * high.ndim) - self._before(high)
        near = self._before(step / 2) - self._before(-step / 2)
        inside = self.sums[0, -1] - below[0] - above[0]
        rounding = step**2 / 12 * np.maximum(inside - near[0], 0) + near[2]
        clipping = sum(past[2] - 2 * end * past[1] + end**2 * past[0] for past, end in ((below, low), (above, high)))
        return np.asarray(rounding + clipping)

    def _before(self, value: Doubles) -> Doubles:
        import numpy as np

        return np.asarray(self.sums[:, np.searchsorted(self.middles, value)])


def _around(shares: Doubles, best: int) -> Doubles:
    import numpy as np

    return np.geomspace(shares[max(best - 1, 0)], shares[min(best + 1, len(shares) - 1)], FINE)
