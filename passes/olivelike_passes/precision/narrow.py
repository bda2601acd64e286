"""A float32 weight in a narrower float: rounded to nearest, kept inside its range, counted where that changed a value much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from olivelike_passes.slices import in_slices

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Narrow: TypeAlias = Literal["float16", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A weight in a narrower float.

    Attributes:
        values: of the weight's shape.
        clipped: how many finite values lay beyond the type's range and became its largest.
        lifted: how many values were too small for it and became its smallest instead of zero.
    """

    values: NDArray[np.generic]
    clipped: int
    lifted: int


def narrowed(values: NDArray[np.float32], to: Narrow) -> Narrowed:
    """Returns a weight in another type; infinities and NaN stay what they are.

    A value that is not zero does not become zero: models divide by such numbers (an epsilon of 1e-12). The smallest float16 is
    the denormal 2**-24, the largest 65504; bfloat16 has float32's exponents (2**-133 with denormals, up to 3.39e38).

    >>> import numpy as np
    >>> found = narrowed(np.array([1e6, -1e-12, 1.0], np.float32), "float16")
    >>> found.values, found.clipped, found.lifted
    (array([ 6.55e+04, -5.96e-08,  1.00e+00], dtype=float16), 1, 1)
    """
    import ml_dtypes
    import numpy as np

    kind = np.dtype(np.float16 if to == "float16" else ml_dtypes.bfloat16)
    info = ml_dtypes.finfo(kind)  # type: ignore[no-untyped-call]
    largest, smallest = np.float32(info.max), np.float32(info.smallest_subnormal)
    flat = values.reshape(-1)
    made = np.empty(flat.shape, kind)
    counts: dict[int, tuple[int, int]] = {}

    def narrow(part: slice) -> None:
        sizes = np.abs(flat[part])
        beyond = (sizes > largest) & (sizes < np.inf)
        below = (sizes < smallest) & (sizes > 0)
        counts[part.start] = int(beyond.sum()), int(below.sum())
        wide = flat[part]
        if any(counts[part.start]):
            wide = np.where(beyond, np.copysign(largest, wide), np.where(below, np.copysign(smallest, wide), wide))
        made[part] = wide.astype(kind)

    in_slices(flat.size, 1, narrow)
    clipped, lifted = (sum(each[place] for each in counts.values()) for place in (0, 1))
    return Narrowed(made.reshape(values.shape), clipped, lifted)
