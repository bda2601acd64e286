"""k-means of numbers on a line: the few values by which a weight's many are best replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from olivelike_passes.slices import ELEMENTS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.generic]
    Floats: TypeAlias = NDArray[np.float32]
    Wide: TypeAlias = NDArray[np.float64]

BINS = 1 << 16
"""Values closer than the range over so many are not told apart: an error of at most 1.6e-5 of the range."""
ROUNDS = 100
OFTEN = 0.01
"""A weight with more zeros than this share was pruned, and its zeros stay zeros."""


def centres(values: Array, count: int) -> Floats:
    """Returns at most `count` numbers, ascending, with the least sum of squared distances that Lloyd's rounds find.

    S. P. Lloyd, "Least squares quantization in PCM", 1982, on a histogram of the values; it starts where the density to the
    power 1/3 is spread evenly, which is best for many centres (P. F. Panter and W. Dite, 1951). Deterministic.

    Args:
        values: finite numbers of any shape; read in pieces.
        count: how many centres, at least 1.
    """
    import numpy as np

    flat = values.reshape(-1)
    weights, places, zeros = _histogram(flat)
    found = places if places.size <= count else _lloyd(weights, places, _start(weights, places, count))
    if zeros > OFTEN * flat.size:
        found[np.argmin(np.abs(found))] = 0.0
        found.sort()
    return np.unique(found.astype(np.float32))


def codes_of(values: Array, centres: Floats) -> NDArray[np.uint8]:
    """Returns for each value the place of the nearest centre."""
    import numpy as np

    borders = (centres[1:].astype(np.float64) + centres[:-1]) / 2
    return np.searchsorted(borders.astype(np.float32), values.astype(np.float32)).astype(np.uint8)


def _histogram(flat: Array) -> tuple[Wide, Wide, int]:
    """Returns counts and means of the bins that hold something, and how many values are zero."""
    import numpy as np

    pieces = range(0, flat.size, ELEMENTS)
    low = min(float(flat[start : start + ELEMENTS].astype(np.float32).min()) for start in pieces)
    high = max(float(flat[start : start + ELEMENTS].astype(np.float32).max()) for start in pieces)
    scale = (BINS - 1) / (high - low) if high > low else 0.0
    counts, sums, zeros = np.zeros(BINS, np.int64), np.zeros(BINS), 0
    for start in pieces:
        piece = flat[start : start + ELEMENTS].astype(np.float64)
        bins = ((piece - low) * scale).astype(np.int64)
        counts += np.bincount(bins, minlength=BINS)
        sums += np.bincount(bins, weights=piece, minlength=BINS)
        zeros += int(np.count_nonzero(piece == 0))
    filled = counts > 0
    return counts[filled].astype(np.float64), sums[filled] / counts[filled], zeros


def _start(weights: Wide, places: Wide, count: int) -> Wide:
    import numpy as np

    gaps = np.gradient(places)
    density = np.cumsum(np.cbrt(weights / gaps) * gaps)
    wanted = (np.arange(count) + 0.5) / count * density[-1]
    return np.unique(np.interp(wanted, density, places))


def _lloyd(weights: Wide, places: Wide, start: Wide) -> Wide:
    import numpy as np

    mass = np.concatenate([[0.0], np.cumsum(weights)])
    moment = np.concatenate([[0.0], np.cumsum(weights * places)])
    found = start
    for _ in range(ROUNDS):
        edges = np.concatenate([[0], np.searchsorted(places, (found[1:] + found[:-1]) / 2), [places.size]])
        inside = np.diff(mass[edges])
        new = np.where(inside > 0, np.diff(moment[edges]) / np.maximum(inside, 1e-300), found)
        if np.array_equal(new, found):
            break
        found = new
    return found
