"""A histogram of float values that needs no range beforehand: each bin is as wide as 1/128 of the power of two it lies in."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float32]
    Doubles: TypeAlias = NDArray[np.float64]
    Counts: TypeAlias = NDArray[np.int64]

SHIFT = 16
"""A float32 without its last bits names its bin: the sign, 8 bits of exponent, 7 of mantissa, as a `bfloat16` holds them."""
PER_OCTAVE = 1 << 7
OCTAVES = 24
"""How far below the largest value bins reach; what is smaller counts as zero, as it does on any grid of up to 16 bits."""
WINDOW = OCTAVES * PER_OCTAVE
INFINITE = 255 * PER_OCTAVE
PIECE = 1 << 18


class Sketch:
    """How often values occurred, of both signs, batch by batch; 49 kB however many there are.

    A quantile read from it is at most 1/128 of itself too large and never too small. Bins are those of HdrHistogram (G. Tene),
    found by the bits of a number; like those of DDSketch (Masson et al., VLDB 2019) they never have to be made anew.
    """

    def __init__(self) -> None:
        """Starts with nothing seen."""
        import numpy as np

        self._top = WINDOW
        self._counts: Counts = np.zeros((2, WINDOW), np.int64)
        self.zeros = 0
        """Values that are zero, or too small beside the largest to count as anything else."""

    @property
    def count(self) -> int:
        """How many values were seen."""
        return self.zeros + int(self._counts.sum())

    def see(self, values: Floats) -> None:
        """Takes in finite or other values; what is not finite is left out."""
        import numpy as np

        flat = np.ascontiguousarray(values).reshape(-1)
        for start in range(0, flat.size, PIECE):
            codes = flat[start : start + PIECE].view(np.uint32) >> SHIFT
            counted = np.bincount(codes, minlength=1 << SHIFT).reshape(2, -1)
            self._add(counted[:, :INFINITE])

    def bins(self) -> tuple[Doubles, Doubles, Counts]:
        """Returns the occupied bins in the order of their values: lowest value, highest value, count.

        Zero is a bin of its own, and so are all values too small to be told from it.
        """
        import numpy as np

        codes = np.arange(self._top - WINDOW, self._top, dtype=np.uint32)
        inner = (codes << SHIFT).view(np.float32).astype(np.float64)
        outer = ((codes + 1) << SHIFT).view(np.float32).astype(np.float64)
        outer[~np.isfinite(outer)] = np.finfo(np.float32).max
        low = np.concatenate([-outer[::-1], [0.0], inner])
        high = np.concatenate([-inner[::-1], [0.0], outer])
        counts = np.concatenate([self._counts[1, ::-1], [self.zeros], self._counts[0]])
        used = counts > 0
        return low[used], high[used], counts[used]

    def magnitude_at(self, share: float) -> float:
        """Returns the magnitude that a share of all values does not exceed, rounded up to its bin's end; 0 if none were seen."""
        import numpy as np

        low, high, counts = self.bins()
        if not counts.size:
            return 0.0
        ends = np.maximum(np.abs(low), np.abs(high))
        order = np.argsort(ends, kind="stable")
        reached = np.cumsum(counts[order])
        place = int(np.searchsorted(reached, share * float(reached[-1])))
        return float(ends[order][min(place, len(order) - 1)])

    def _add(self, counted: Counts) -> None:
        import numpy as np

        occupied = np.flatnonzero(counted.any(axis=0))
        top = (int(occupied[-1]) // PER_OCTAVE + 1) * PER_OCTAVE if occupied.size else 0
        if top > self._top:
            self._raise_to(top)
        first = self._top - WINDOW
        self.zeros += int(counted[:, :first].sum()) + (int(counted[:, 0].sum()) if not first else 0)
        self._counts += counted[:, first : self._top]
        if not first:
            self._counts[:, 0] = 0  # the two zeros

    def _raise_to(self, top: int) -> None:
        import numpy as np

        shift = min(top - self._top, WINDOW)
        self.zeros += int(self._counts[:, :shift].sum())
        self._counts = np.concatenate([self._counts[:, shift:], np.zeros((2, shift), np.int64)], axis=1)
        self._top = top
