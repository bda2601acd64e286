"""The grid that a block's weights are rounded to, and what comes of rounding: codes, scales and zero points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float32]
    Codes: TypeAlias = NDArray[np.uint8]

Bits: TypeAlias = Literal[2, 3, 4, 8]
BlockSize: TypeAlias = Literal[16, 32, 64, 128, 256]


@dataclass(frozen=True, slots=True)
class Grid:
    """Evenly spaced levels: a code c stands for `(c - zero) * scale`.

    Attributes:
        bits: how many bits a code has; there are `2 ** bits` levels.
        block: how many weights share a scale.
        symmetric: whether the zero is the middle of the codes instead of a number of its own for each block.
        float_zeros: whether zeros lie anywhere between and beyond the codes, instead of on one of them.
        half: whether scales and float zeros are stored as float16; codes are chosen for what is stored.
    """

    bits: Bits
    block: BlockSize
    symmetric: bool = True
    float_zeros: bool = False
    half: bool = False

    @property
    def stored_bits(self) -> int:
        """Bits that a code takes in a model: there is no container of 3."""
        return 4 if self.bits == 3 else self.bits

    @property
    def top(self) -> int:
        """The largest code."""
        return int(2**self.bits - 1)

    @property
    def middle(self) -> int:
        """The code of zero on a symmetric grid."""
        return int(2 ** (self.bits - 1))

    @property
    def shift(self) -> int:
        """What a stored code is above the code: without a zero point, operators take the container's middle for zero."""
        return int(2 ** (self.stored_bits - 1)) - self.middle if self.symmetric else 0

    def stored(self, scales: Floats) -> Floats:
        """Returns scales as the model holds them, and 0 for those too small to divide by."""
        import numpy as np

        kept = scales.astype(np.float16).astype(np.float32) if self.half else scales
        rounded: Floats = np.where(np.abs(kept) < np.float32(1e-37), np.float32(0), kept)
        return rounded


@dataclass(frozen=True, slots=True)
class Spacing:
    """Where a grid's levels lie, for each block: a scale and a zero, both float32 [blocks, lanes]."""

    scales: Floats
    zeros: Floats


@dataclass(frozen=True, slots=True)
class Blocks:
    """Rounded weights: codes, uint8 [blocks, block, lanes], and the spacing that they are counted in."""

    codes: Codes
    spacing: Spacing


Method: TypeAlias = Callable[["Floats", Grid, "Floats"], Blocks]
"""Rounds weights: float32 [blocks, block, lanes], a grid, and how much an error weighs at each of the block's inputs,
float32 [blocks, block, 1] or [1, 1, 1]."""


def extent(values: Floats, grid: Grid) -> Spacing:
    """Returns the spacing that spans all weights of each block, the plainest there is.

    On a symmetric grid the weight of the largest magnitude lies on the lowest code, which has no counterpart above, so that
    every code is used (as in llama.cpp's Q4_0 and in ONNX Runtime). With whole zero points the range holds 0.
    """
    import numpy as np

    high, low = values.max(axis=1), values.min(axis=1)
    if grid.symmetric:
        farthest = np.where(high > -low, high, low)
        scales = grid.stored(farthest / np.float32(-grid.middle))
        return Spacing(scales, np.full_like(scales, grid.middle))
    if not grid.float_zeros:
        high, low = np.maximum(high, 0), np.minimum(low, 0)
    return asymmetric(low, high, grid)


def asymmetric(low: Floats, high: Floats, grid: Grid) -> Spacing:
    """Returns the spacing whose lowest and highest level are these; of whole zero points, the nearest to it."""
    import numpy as np

    scales = grid.stored(high / np.float32(grid.top) - low / np.float32(grid.top))
    if grid.float_zeros:  # a block of one number lies on code 0 of a grid as wide as that number
        flat = scales == 0
        scales = np.where(flat, grid.stored(-low), scales)
    return Spacing(scales, placed(-low * inverse(scales), grid))


def placed(zeros: Floats, grid: Grid) -> Floats:
    """Returns zeros as the model holds them: on a code, or as float16 where scales are."""
    import numpy as np

    if not grid.float_zeros:
        whole: Floats = np.clip(np.rint(zeros), 0, grid.top)
        return whole
    return zeros.astype(np.float16).astype(np.float32) if grid.half else zeros


def inverse(scales: Floats) -> Floats:
    """Returns 1 / scale, and 0 for a scale of 0: all its weights lie on the zero."""
    import numpy as np

    safe = np.where(scales == 0, np.float32(1), scales)
    turned: Floats = np.where(scales == 0, np.float32(0), 1 / safe)
    return turned


def levels(values: Floats, spacing: Spacing, grid: Grid) -> Floats:
    """Returns the code of the level nearest to each weight, as float32: halves go up."""
    import numpy as np

    found = values * inverse(spacing.scales)[:, None]
    found += (spacing.zeros + np.float32(0.5))[:, None]
    np.floor(found, out=found)
    np.clip(found, 0, grid.top, out=found)
    return found


def rounded(values: Floats, spacing: Spacing, grid: Grid) -> Blocks:
    """Rounds weights to the levels of a spacing."""
    import numpy as np

    found = values * inverse(spacing.scales)[:, None]
    found += (spacing.zeros + np.float32(0.5))[:, None]
    np.clip(found, 0, grid.top, out=found)
    return Blocks(found.astype(np.uint8), spacing)  # the cast rounds down


def error(values: Floats, spacing: Spacing, grid: Grid, importance: Floats) -> Floats:
    """Returns the weighted sum of squared errors of each block, float32 [blocks, lanes]."""
    off = levels(values, spacing, grid)
    off -= spacing.zeros[:, None]
    off *= spacing.scales[:, None]
    off -= values
    return summed(off, off * importance if importance.size > 1 else off)


def summed(first: Floats, second: Floats) -> Floats:
    """Returns the sums of products within each block, float32 [blocks, lanes]; no product is stored."""
    import numpy as np

    total: Floats = np.einsum("bil,bil->bl", first, second)
    return total


def better(best: tuple[Floats, Spacing], other: tuple[Floats, Spacing]) -> tuple[Floats, Spacing]:
    """Returns for each block the spacing of the smaller error, and that error."""
    import numpy as np

    wins = other[0] < best[0]
    scales = np.where(wins, other[1].scales, best[1].scales)
    zeros = np.where(wins, other[1].zeros, best[1].zeros)
    return np.where(wins, other[0], best[0]), Spacing(scales, zeros)
