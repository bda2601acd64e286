"""Batches as a model can take them, and outputs checked to be numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from olivelike.contracts.metric import Session
from olivelike.errors import MeasureError, fail

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

NOT_FINITE = re.compile(r"the output .+ is not finite in \d+ of \d+ values")
"""By this a failure is known to be the model's own: of the input model itself no step can be the cause."""


def batch_size(session: Session, wanted: int) -> int:
    """Returns the batch size to feed: the one that an input's first dimension is fixed to, otherwise the one wanted."""
    fixed = {size for info in session.inputs for size in info.shape[:1] if isinstance(size, int)}
    return min(fixed, default=wanted)


def finite(output: Array, name: str) -> Array:
    """Returns an output as it is.

    Raises:
        MeasureError: OL504, it holds NaN or an infinity.
    """
    import numpy as np

    if isinstance(output, np.ndarray) and output.dtype.kind == "f" and not np.isfinite(output).all():
        bad = int(output.size - np.isfinite(output).sum())
        claim = f"the output {name!r} is not finite in {bad} of {output.size} values"
        raise fail(
            MeasureError, "OL504", claim, hint="a step overflowed; keep the layers before this output in float32"
        )
    return output
