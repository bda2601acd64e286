"""Whether a column fits a model's input, and its values cast to what the input takes: types, shapes, finite numbers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from olivelike.contracts.data import Column
from olivelike.contracts.metric import TensorInfo
from olivelike.errors import InputError, OlivelikeError, fail
from olivelike.onnxfile.read import UNKNOWN_RANK
from olivelike.sources.batching import is_fixed
from olivelike.sources.mapping import Feed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array

TEXT = frozenset("OUS")
NUMBERS = frozenset("biuf")
ANY_RANK = frozenset({(), (UNKNOWN_RANK,)})


def check_fit(feed: Feed, column: Column, place: str) -> None:
    """Checks a column's type and the shape of its samples against the model's input; reads no values.

    Raises:
        InputError: OL206, with what the column holds and what the input takes.
    """
    wanted, kind = feed.input.dtype, column.dtype.kind
    numpy_type(feed.input, place)
    if kind not in (TEXT if wanted == "string" else NUMBERS):
        holds = "text" if kind in TEXT else str(column.dtype)
        raise _unfit(feed, f"holds {holds}", wanted, place, "feed it another column, or convert it with `prepare`")
    _check_shape(feed, column, place)


def numpy_type(info: TensorInfo, place: str) -> np.dtype[np.generic]:
    """Returns the NumPy type that an input's values have (`object` for strings).

    Raises:
        InputError: OL206, NumPy has none (`bfloat16`, `float8e4m3fn`, `int4`).
    """
    import numpy as np

    if info.dtype == "string":
        return np.dtype(object)
    with suppress(TypeError):
        found = np.dtype(info.dtype)
        if found.kind in NUMBERS:  # a package beside NumPy may have registered others, which do not cast safely
            return found
    claim = f"the model's input {info.name!r} takes {info.dtype}, which data cannot be cast to"
    hint = "give the model inputs of float32 or an integer type"
    raise fail(InputError, "OL206", claim, path=place, hint=hint)


def fitted(feed: Feed, values: Array, rows: NDArray[np.intp], place: str) -> Array:
    """Returns a batch of a column's values as the model's input takes them.

    Numbers are cast (uint8 to float32 plainly, without scaling); floats become integers only where they are whole.

    Args:
        feed: the column and its input.
        values: `[samples, ...]`.
        rows: the number of each sample in the data, for messages.
        place: the data entry, for messages.

    Raises:
        InputError: OL206, values that the input's type cannot hold; OL208, values that are not finite.
    """
    import numpy as np

    shape = feed.input.shape
    if len(shape) == 2 and shape[1] == 1 and values.ndim == 1:
        values = values[:, None]
    if feed.input.dtype == "string":
        return values if values.dtype.kind == "O" else values.astype(str).astype(object)
    check_finite(feed.column, values, rows, place)
    wanted = numpy_type(feed.input, place)
    with np.errstate(over="ignore", invalid="ignore"):
        cast = np.ascontiguousarray(values.astype(wanted, copy=False))
    _check_kept(feed, values, cast, rows, place)
    return cast


def check_finite(column: str, values: Array, rows: NDArray[np.intp], place: str) -> None:
    """Refuses NaN and infinities.

    Raises:
        InputError: OL208, with the column and the first sample that has one.
    """
    import numpy as np

    if values.dtype.kind == "f" and not np.isfinite(values).all():
        at = _first(~np.isfinite(values))
        claim = f"the column {column!r} has a missing or infinite value in sample {rows[at]}"
        raise fail(InputError, "OL208", claim, path=place, hint="fill it or leave the sample out")


def _check_kept(feed: Feed, values: Array, cast: Array, rows: NDArray[np.intp], place: str) -> None:
    import numpy as np

    if np.can_cast(values.dtype, cast.dtype, casting="safe"):
        return
    lost = ~np.isfinite(cast) if cast.dtype.kind == "f" else cast != values
    if lost.any():
        at = _first(lost)
        value = np.ravel(values[at])[np.ravel(lost[at]).argmax()]
        hint = "round or scale the column, for instance with `prepare`"
        raise _unfit(feed, f"has {value} in sample {rows[at]}", feed.input.dtype, place, hint)


def _first(mask: NDArray[np.bool_]) -> int:
    return int(mask.reshape(len(mask), -1).any(axis=1).argmax())


def _check_shape(feed: Feed, column: Column, place: str) -> None:
    sample, wanted = tuple(column.shape[1:]), feed.input.shape[1:]
    if feed.input.shape in ANY_RANK or _same(sample, wanted) or (sample == () and wanted == (1,)):
        return
    hint = "change the column's shape, for instance with `prepare`"
    if _same(tuple(column.shape), wanted):
        hint = f"the batch axis is missing: store it as [samples, {_text(wanted)}]"
    elif sample[:1] == (1,) and _same(sample[1:], wanted):
        hint = "its samples have a batch axis of their own: leave it out"
    raise _unfit(feed, f"has samples of shape [{_text(sample)}]", f"[{_text(wanted)}]", place, hint)


def _same(sample: Sequence[int], wanted: Sequence[int | str]) -> bool:
    return len(sample) == len(wanted) and all(
        not is_fixed(takes) or has == takes for has, takes in zip(sample, wanted, strict=True)
    )


def _text(shape: Sequence[int | str]) -> str:
    return ", ".join(str(dimension) for dimension in shape)


def _unfit(feed: Feed, got: str, wanted: str, place: str, hint: str) -> OlivelikeError:
    claim = f"the column {feed.column!r} {got}, the model's input {feed.input.name!r} takes {wanted}"
    return fail(InputError, "OL206", claim, path=place, hint=hint)
