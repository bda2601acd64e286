"""Ranges of activations from calibration data, one batch at a time in bounded memory: min-max, entropy, percentile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values: TypeAlias = NDArray[np.generic]
    Counts: TypeAlias = NDArray[np.int64]

Method: TypeAlias = Literal["minmax", "entropy", "percentile"]
Range: TypeAlias = tuple[float, float]

BINS = 2048
LEVELS = 128
STRIDE = 8
DENSE = 8
FLOOR = 1e-7
KEPT = 0.999


class Observed:
    """What was seen of one activation: its extremes, and a histogram of magnitudes over `[0, reach]`."""

    def __init__(self, *, histogram: bool) -> None:
        """Starts with nothing seen; without `histogram`, only the extremes are kept."""
        import numpy as np

        self.low = self.high = 0.0
        self.reach = 0.0
        self._seen = False
        self._histogram = histogram
        self.counts: Counts = np.zeros(BINS if histogram else 0, np.int64)

    def see(self, values: Values) -> None:
        """Takes in one batch's values; what is not finite (masks) is left out."""
        import numpy as np

        numbers = values.astype(np.float32)
        finite = numbers[np.isfinite(numbers)]
        if not finite.size:
            return
        low, high = float(finite.min()), float(finite.max())
        self.low, self.high = (min(self.low, low), max(self.high, high)) if self._seen else (low, high)
        self._seen = True
        if self._histogram:
            self._count(np.abs(finite))

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


def range_of(observed: Observed, method: Method, percentile: float) -> Range:
    """Returns the range in which an activation is to be represented.

    Args:
        observed: what was seen of it.
        method: `minmax` takes the extremes; `percentile` cuts the magnitude at a share of the values; `entropy` cuts it
            where the quantized distribution is closest to the real one.
        percentile: that share, in percent.
    """
    match method:
        case "minmax":
            return observed.low, observed.high
        case "percentile":
            return _clipped(observed, _percentile_bin(observed.counts, percentile))
        case "entropy":
            return _clipped(observed, _entropy_bin(observed.counts))
        case _:
            assert_never(method)


def _clipped(observed: Observed, bins: int) -> Range:
    most = observed.reach * bins / BINS
    return max(observed.low, -most), min(observed.high, most)


def _percentile_bin(counts: Counts, percentile: float) -> int:
    import numpy as np

    share = np.cumsum(counts) / max(int(counts.sum()), 1)
    return min(int(np.searchsorted(share, percentile / 100)) + 1, BINS)


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
