"""Random inputs from a model's signature, for timing without data and for checking what a pass wrote."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from olivelike.contracts.metric import TensorInfo
from olivelike.errors import InputError, fail, nearest

if TYPE_CHECKING:
    import numpy as np

    from olivelike.contracts.data import Array

FLOATS = frozenset({"float16", "float32", "float64"})
INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"})


def random_feeds(inputs: Sequence[TensorInfo], batch: int, dims: Mapping[str, int], seed: int) -> dict[str, Array]:
    """Returns one array for each input.

    Floats are drawn from the standard normal distribution and cast; integers and booleans are 0 or 1, which is valid as an
    index, a token and a mask. A dynamic dimension takes its size from `dims`; otherwise the first one of an input is
    `batch` and any other is 1. Fixed dimensions stay. The values depend on the seed, names and shapes, not on the order of
    the inputs, so that two models with the same signature are fed the same.

    Args:
        inputs: the model's inputs.
        batch: the size of a dynamic first dimension that `dims` does not name.
        dims: sizes of dynamic dimensions by name.
        seed: the seed.

    Raises:
        InputError: OL206, an unknown dimension in `dims`, or an input whose type cannot be drawn.
    """
    import numpy as np

    check_dims(inputs, dims)
    generator = np.random.default_rng(seed)
    drawn = {
        info.name: _draw(info, concrete_shape(info, batch, dims), generator)
        for info in sorted(inputs, key=lambda info: info.name)
    }
    return {info.name: drawn[info.name] for info in inputs}


def concrete_shape(info: TensorInfo, batch: int, dims: Mapping[str, int]) -> tuple[int, ...]:
    """Returns an input's shape with every dynamic dimension given a size.

    Example:
        >>> concrete_shape(TensorInfo("tokens", "int64", ("n", "length", 4)), 8, {"length": 77})
        (8, 77, 4)
    """
    return tuple(
        size if isinstance(size, int) else dims.get(size, batch if place == 0 else 1)
        for place, size in enumerate(info.shape)
    )


def check_dims(inputs: Sequence[TensorInfo], dims: Mapping[str, int]) -> None:
    """Checks that a model has every dynamic dimension that a config gives a size.

    Raises:
        InputError: OL206.
    """
    known = {size for info in inputs for size in info.shape if isinstance(size, str)}
    for name in dims:
        if name not in known:
            claim = f"the model has no dynamic dimension called {name!r}"
            raise fail(InputError, "OL206", claim, path=f"dims.{name}", hint=nearest(name, known))


def _draw(info: TensorInfo, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    count = math.prod(shape)
    if info.dtype in FLOATS:
        return generator.standard_normal(count).reshape(shape).astype(info.dtype)
    if info.dtype in INTEGERS:
        return generator.integers(0, 2, count).reshape(shape).astype(info.dtype)
    claim = f"no random values can be made for the input {info.name!r} of type {info.dtype}"
    raise fail(InputError, "OL206", claim, hint="give the metric data")
