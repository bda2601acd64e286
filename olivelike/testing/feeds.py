"""Inputs for any model: seeded random values that fit its signature."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.onnxfile.read import UNKNOWN_RANK, Value, signature

if TYPE_CHECKING:
    import numpy as np

    from olivelike.contracts.data import Array


def feeds_for(model: Path, *, batch: int = 2, seed: int = 0) -> Mapping[str, Array]:
    """Returns one array for each input of a model: normal floats, whole numbers 0 or 1, short words.

    Args:
        model: the model's file.
        batch: the size of every dynamic dimension.
        seed: equal seeds give equal values.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    return {value.name: _draw(value, batch, random) for value in signature(model).inputs}


def _draw(value: Value, batch: int, random: np.random.Generator) -> Array:
    import numpy as np

    shape = tuple(dim if isinstance(dim, int) else batch for dim in value.shape if dim != UNKNOWN_RANK)
    match value.dtype:
        case "string":
            return random.choice(np.array(["good", "bad", "other"], dtype=object), shape)
        case "bool":
            return np.asarray(random.integers(0, 2, shape).astype(bool))
        case "float16" | "float32" | "float64":
            return np.asarray(random.standard_normal(shape), value.dtype)
        case _:
            return np.asarray(random.integers(0, 2, shape), value.dtype)
