"""Ranges of activations from calibration data, one batch at a time: what each method must remember, and what it makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never

from olivelike_passes.quantization.least_error import least_error_range
from olivelike_passes.quantization.sketch import Sketch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values: TypeAlias = NDArray[np.generic]
    Counts: TypeAlias = NDArray[np.int64]

Method: TypeAlias = Literal["minmax", "moving_average", "percentile", "entropy", "mse"]
Range: TypeAlias = tuple[float, float]

BINS = 2048
LEVELS = 128
STRIDE = 8
DENSE = 8
FLOOR = 1e-7
KEPT = 0.999
PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class Rule:
    """How a range follows from what was seen.

    Attributes:
        method: `minmax` takes the extremes; `moving_average` the mean of the batches' extremes; `percentile` cuts the magnitude
            at a share of the values; `entropy` cuts it where the quantized distribution is closest to the real one; `mse`
            where rounding and clipping together cost least.
        percentile: that share, in percent.
        bits: for `mse`, of the grid.
        symmetric: for `mse`, whether zero lies in the middle of the grid.
    """

    method: Method
    percentile: float = 99.999
    bits: int = 8
    symmetric: bool = False


class Observed:
    """What was seen of one activation: extremes, and what its rule asks for; at most 50 kB, however many values."""

    def __init__(self, rule: Rule) -> None:
        """Starts with nothing seen."""
        self.low = self.high = 0.0
        self.histogram = Histogram()
        self.sketch = Sketch()
        self._rule = rule
        self._batches = 0
        self._lows = self._highs = 0.0

    def see(self, values: Values) -> None:
        """Takes in one batch's values; what is not finite (masks) is left out."""
        import numpy as np

        numbers = values.astype(np.float32, copy=False).reshape(-1)
        if not np.isfinite(numbers).all():
            numbers = numbers[np.isfinite(numbers)]
        if not numbers.size:
            return
        low, high = float(numbers.min()), float(numbers.max())
        self.low, self.high = (min(self.low, low), max(self.high, high)) if self._batches else (low, high)
        self._batches += 1
        self._lows, self._highs = self._lows + low, self._highs + high
        match self._rule.method:
            case "entropy":
                self.histogram.see(numbers)
            case "percentile" | "mse":
                self.sketch.see(numbers)
            case "minmax" | "moving_average":
                pass
            case _:
                assert_never(self._rule.method)

    def range(self) -> Range:
        """Returns the range in which the activation is to be represented; zero to zero if nothing was seen."""
        rule = self._rule
        match rule.method:
            case "minmax":
                return self.low, self.high
            case "moving_average":
                return self._lows / max(self._batches, 1), self._highs / max(self._batches, 1)
            case "percentile":
                return self._clipped(self.sketch.magnitude_at(rule.percentile / 100))
            case "entropy":
                return self._clipped(self.histogram.reach * _entropy_bin(self.histogram.counts) / BINS)
            case "mse":
                return least_error_range(self.sketch, self.low, self.high, rule.bits, symmetric=rule.symmetric)
            case _:
                assert_never(rule.method)

    def _clipped(self, most: float) -> Range:
        return max(self.low, -most), min(self.high, most)


class Histogram:
    """Magnitudes in bins of one width over `[0, reach]`, which doubles as larger ones come: no bin exceeds 1/1024 of the peak."""

    def __init__(self) -> None:
        """Starts with nothing seen."""
        import numpy as np

        self.reach = 0.0
        self.counts: Counts = np.zeros(BINS, np.int64)

    def see(self, values: NDArray[np.float32]) -> None:
        """Takes in finite values."""
        for start in range(0, values.size, PIECE):
            self._count(abs(values[start : start + PIECE]))

    def _count(self, magnitudes: NDArray[np.float32]) -> None:
        import numpy as np

        largest = float(magnitudes.max())
        if not self.reach:
            self.counts[0] += 0 if largest else magnitudes.size
            self.reach = largest
            if not largest:
                return
        while largest > self.reach:
            # Twice the reach: two old bins make one new bin, so that nothing counted moves to a wrong place.
            self.counts = np.concatenate([self.counts.reshape(-1, 2).sum(axis=1), np.zeros(BINS // 2, np.int64)])
            self.reach *= 2
        # In float64, because BINS / reach overflows float32 for the tiniest reaches.
        bins = (magnitudes.astype(np.float64) * (BINS / self.reach)).astype(np.int64)
        self.counts += np.bincount(np.minimum(bins, BINS - 1), minlength=BINS)


def _entropy_bin(counts: Counts) -> int:
    """Returns how many bins to keep: those with the least Kullback-Leibler divergence after quantization to 128 levels.

    After S. Migacz, "8-bit inference with TensorRT", GTC 2017. The first bin, where ReLU leaves its zeros, takes the count of
    the second: zero is represented exactly in any case, and counting it would favour ranges that are too short. Other values
    that occur again and again, such as a picture's background, do the same, so that a share of all values is always kept.
    """
    import numpy as np

    shares = counts.astype(np.float64)
    shares[0] = shares[1]
    if not shares.any():
        return BINS
    least = int(np.searchsorted(np.cumsum(shares) / shares.sum(), KEPT)) + 1
    width = 1
    while width * LEVELS * 2 < BINS and shares.sum() < DENSE * BINS / width:
        # Few values leave most bins empty, and the divergence of an all but empty histogram says nothing.
        shares = shares.reshape(-1, 2).sum(axis=1)
        width *= 2
    ends = range(LEVELS, shares.size + 1, max(STRIDE // width, 1))
    divergences = [_divergence(shares, end) for end in ends]
    return max(least, width * ends[int(np.argmin(divergences))])


def _divergence(counts: NDArray[np.float64], end: int) -> float:
    import numpy as np

    kept = counts[:end]
    real = kept.copy()
    real[-1] += counts[end:].sum()
    starts = np.arange(LEVELS) * end // LEVELS
    filled = (real > 0).astype(np.float64)
    sizes = np.diff(np.append(starts, end))
    mass, places = np.add.reduceat(kept, starts), np.add.reduceat(filled, starts)
    level = np.repeat(np.divide(mass, places, out=np.zeros(LEVELS), where=places > 0), sizes) * filled
    if not level.any():
        return float("inf")
    p, q = real / real.sum(), np.maximum(level / level.sum(), FLOOR)
    present = p > 0
    return float(np.sum(p[present] * np.log(p[present] / q[present])))
