"""How integers stand for real numbers: the grid (scale and zero point) of a weight, and its codes, made in slices."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Literal, TypeAlias

from olivelike.errors import RefusedError, fail
from olivelike_passes.slices import in_slices

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values: TypeAlias = NDArray[np.generic]
    Floats: TypeAlias = NDArray[np.float32]
    Codes: TypeAlias = NDArray[np.generic]

Name: TypeAlias = Literal["int8", "uint8", "int16", "uint16", "int4", "uint4"]
Axis: TypeAlias = Literal["none", "rows", "columns"]
"""What of a matrix has a grid of its own: the whole, each row, each column."""


@dataclass(frozen=True, slots=True)
class Integers:
    """An integer type, and how its codes lie around zero.

    Attributes:
        name: the type.
        symmetric: zero in the middle, with the same reach on both sides.
        reduced: one bit less, so that the sum of two products of 8 bits fits in 16 bits (x86 without VNNI, `vpmaddubsw`).

    Example:
        >>> Integers("int8", symmetric=True).codes, Integers("uint8", symmetric=False).codes
        ((-127, 127), (0, 255))
        >>> Integers("uint4", symmetric=True).middle
        8
    """

    name: Name
    symmetric: bool
    reduced: bool = False

    @property
    def middle(self) -> int:
        """The code in the middle of the type."""
        return int(2 ** (self._bits - 1)) if self._unsigned else 0

    @property
    def codes(self) -> tuple[int, int]:
        """The lowest code used, and the highest."""
        # In 7 bits of a signed type there is room for one code more.
        half = int(2 ** (self._bits - 1)) - (0 if self.reduced and not self._unsigned else 1)
        below = half if self.symmetric or half == self._room else half + 1
        return self.middle - below, self.middle + half

    @property
    def container(self) -> str:
        """The numpy type that holds a code while it is made; 4-bit codes are packed later."""
        return self.name.replace("int4", "int8")

    @property
    def _bits(self) -> int:
        return int(self.name.lstrip("uint")) - self.reduced

    @property
    def _room(self) -> int:
        return int(2 ** (self._bits - 1))

    @property
    def _unsigned(self) -> bool:
        return self.name.startswith("u")


@dataclass(frozen=True, slots=True)
class Grid:
    """By which numbers codes stand for reals: `real = (code - zero_point) * scale`.

    Attributes:
        scale: float32, of shape [] for the whole matrix or [rows] or [columns].
        zero_point: in the type's container, of the same shape.
    """

    scale: Floats
    zero_point: Codes


def extremes(values: Values, axis: Axis, name: str) -> tuple[Floats, Floats]:
    """Returns the lowest and the highest value of a matrix, or of each of its rows or columns.

    Args:
        values: of two axes, any float type; may be mapped.
        axis: what has extremes of its own.
        name: of the weight, for the claim.

    Returns:
        Two float32 arrays of shape [1], [rows] or [columns].

    Raises:
        RefusedError: OL301, a value is NaN or infinite.
    """
    import numpy as np

    rows, columns = values.shape
    size = {"none": 1, "rows": rows, "columns": columns}[axis]
    low, high = np.full(size, np.inf, np.float32), np.full(size, -np.inf, np.float32)
    lock = Lock()

    def look(part: slice) -> None:
        numbers = values[part].astype(np.float32, copy=False)
        if axis == "rows":
            low[part], high[part] = numbers.min(1), numbers.max(1)
            return
        least, most = (numbers.min(0), numbers.max(0)) if axis == "columns" else (numbers.min(), numbers.max())
        with lock:
            np.minimum(low, least, out=low)
            np.maximum(high, most, out=high)

    in_slices(rows, columns, look)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        claim = f"the weight {name!r} holds NaN or an infinity, from which no scale can be taken"
        raise fail(RefusedError, "OL301", claim, hint="mend the model where it was trained")
    return low, high


def grid_of(low: Floats, high: Floats, integers: Integers) -> Grid:
    """Returns the grid that spans extremes; zero always has a code of its own, and all zeros get the scale 1."""
    import numpy as np

    least, most = integers.codes
    low, high = np.minimum(low, np.float32(0)), np.maximum(high, np.float32(0))
    tiny = np.finfo(np.float32).tiny
    if integers.symmetric:
        scale = _scale(np.maximum(-low, high).astype(np.float64) / (most - integers.middle), tiny)
        return Grid(scale, np.full(scale.shape, integers.middle, integers.container))
    scale = _scale((high.astype(np.float64) - low) / (most - least), tiny)
    zero = np.clip(np.rint(least - low.astype(np.float64) / scale), least, most)
    return Grid(scale, zero.astype(integers.container))


def codes_of(values: Values, grid: Grid, axis: Axis, integers: Integers) -> Codes:
    """Returns a matrix's codes, each the nearest to its value (ties to even, as ONNX's QuantizeLinear).

    Args:
        values: of two axes, any float type; may be mapped.
        grid: with one entry for the whole, or for each row or column.
        axis: what has a grid of its own.
        integers: the type.
    """
    import numpy as np

    rows, columns = values.shape
    made = np.empty((rows, columns), integers.container)
    shape = (-1, 1) if axis == "rows" else (1, -1)
    scale = grid.scale.reshape(shape)
    zero = grid.zero_point.astype(np.float32).reshape(shape)
    least, most = (np.float32(code) for code in integers.codes)
    shifted = bool(zero.any())

    def write(part: slice) -> None:
        own = part if axis == "rows" else slice(None)
        numbers = values[part].astype(np.float32, copy=False) / scale[own]
        np.rint(numbers, out=numbers)
        if shifted:
            numbers += zero[own]
        np.clip(numbers, least, most, out=numbers)
        made[part] = numbers

    in_slices(rows, columns, write)
    return made


def _scale(step: NDArray[np.float64], tiny: np.floating) -> Floats:
    import numpy as np

    # A step below the smallest normal number would be flushed to zero by the processor, and divide by it.
    return np.where(step > 0, np.maximum(step, tiny), 1.0).astype(np.float32)
