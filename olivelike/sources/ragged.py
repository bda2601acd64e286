"""Ragged columns: lists of different length, filled up to one array batch by batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from olivelike.contracts.data import EVERY_COLUMN, Column, Pad
from olivelike.digest import Json
from olivelike.errors import InputError, OlivelikeError, fail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array

MASK = "attention_mask"


def ragged(samples: Sequence[Array]) -> NDArray[np.object_]:
    """Returns arrays that may differ in length as the rows of one column."""
    import numpy as np

    column = np.empty(len(samples), dtype=object)
    for at, sample in enumerate(samples):
        column[at] = sample
    return column


def is_ragged_column(column: Column) -> bool:
    """Whether the samples of a column may differ in length; such a column says so by an attribute `ragged`."""
    return bool(getattr(column, "ragged", False))


def is_ragged(values: Array) -> bool:
    """Whether the rows of a batch are arrays of their own."""
    import numpy as np

    return values.dtype == object and values.ndim == 1 and len(values) > 0 and isinstance(values[0], np.ndarray)


def merged(own: Mapping[str, Pad], asked: Mapping[str, Json]) -> dict[str, Pad]:
    """Returns how columns are filled up: as the entry says, and where it does not, as its transform does.

    The columns of one transform have one length: what is asked of the first holds for the others but for the value.

    Args:
        own: the transform's.
        asked: the entry's, see `DataSpec.pad`.
    """
    everywhere = _options(asked.get(EVERY_COLUMN, {}))
    lengths = {key: value for key, value in _options(asked.get(next(iter(own), ""), {})).items() if key != "value"}
    found = {
        name: Pad.model_validate({**pad.model_dump(), **everywhere, **lengths, **_options(asked.get(name, {}))})
        for name, pad in own.items()
    }
    return found | {name: Pad.model_validate(pad) for name, pad in asked.items() if name not in own}


def _options(pad: Json) -> dict[str, Json]:
    return dict(pad) if isinstance(pad, Mapping) else {}


def rectangular(
    columns: Mapping[str, Array], pads: Mapping[str, Pad], rows: NDArray[np.intp], *, mask: bool, place: str
) -> dict[str, Array]:
    """Returns a batch whose ragged columns are arrays; those of one length need no filling.

    Args:
        columns: the batch.
        pads: column to how it is filled up, also where its lists happen to be of one length; `EVERY_COLUMN` for ragged ones
            not named.
        rows: the number of each sample in the data, for messages.
        mask: add the column `attention_mask` of what was not filled in, unless there is one.
        place: the data entry, for messages.

    Raises:
        InputError: OL206, lists of different length without `pad`, longer than it says, or a mask that is not clear.
    """
    made: dict[str, Array] = {}
    lengths: dict[str, list[int]] = {}
    for name, values in columns.items():
        pad = pads.get(name, pads.get(EVERY_COLUMN))
        if not is_ragged(values) and (name not in pads or values.ndim < 2):
            made[name] = values
            continue
        arrays = list(values)
        if pad is None:
            made[name] = _stacked(name, arrays, rows, place)
            continue
        kept = [_kept(name, array, pad, row, place) for array, row in zip(arrays, rows.tolist(), strict=True)]
        lengths[name] = [len(array) for array in kept]
        made[name] = _filled(kept, pad)
    if mask and MASK not in made and lengths:
        made[MASK] = _mask(lengths, made, pads, place)
    return made


def _stacked(name: str, arrays: Sequence[Array], rows: NDArray[np.intp], place: str) -> Array:
    import numpy as np

    other = next((at for at, array in enumerate(arrays) if array.shape != arrays[0].shape), 0)
    if other:
        claim = (
            f"the column {name!r} has lists of different length: {len(arrays[0])} in sample {rows[0]}, "
            f"{len(arrays[other])} in sample {rows[other]}"
        )
        raise fail(InputError, "OL206", claim, path=place, hint=f"add `pad: {{{name}: longest}}`")
    return np.stack(arrays)


def _kept(name: str, array: Array, pad: Pad, row: int, place: str) -> Array:
    if pad.to == "longest" or len(array) <= pad.to:
        return array
    if not pad.truncate:
        claim = f"the column {name!r} has {len(array)} elements in sample {row}, and `pad` says {pad.to}"
        hint = "raise the length, or add `truncate: true`"
        raise fail(InputError, "OL206", claim, path=f"{place}.pad", hint=hint)
    return array[: pad.to] if pad.side == "right" else array[len(array) - pad.to :]


def _filled(arrays: Sequence[Array], pad: Pad) -> Array:
    import numpy as np

    length = max(len(array) for array in arrays) if pad.to == "longest" else pad.to
    length = -(-length // pad.multiple_of) * pad.multiple_of
    dtype = np.result_type(*{array.dtype for array in arrays})
    if not (dtype.kind in "iu" and isinstance(pad.value, int)):  # an id or a count stays what it is
        dtype = np.result_type(dtype, np.min_scalar_type(pad.value))
    filled = np.full((len(arrays), length, *arrays[0].shape[1:]), pad.value, dtype=dtype)
    for row, array in zip(filled, arrays, strict=True):
        if len(array):
            row[_part(len(array), length, pad)] = array
    return filled


def _mask(lengths: Mapping[str, list[int]], made: Mapping[str, Array], pads: Mapping[str, Pad], place: str) -> Array:
    import numpy as np

    first = next(iter(lengths))
    other = next((name for name in lengths if lengths[name] != lengths[first]), "")
    if other:
        raise _unclear(first, other, place)
    pad, length = pads.get(first, pads.get(EVERY_COLUMN, Pad())), made[first].shape[1]
    mask = np.zeros((len(lengths[first]), length), dtype=np.int64)
    for row, count in zip(mask, lengths[first], strict=True):
        row[_part(count, length, pad)] = 1
    return mask


def _part(count: int, length: int, pad: Pad) -> slice:
    return slice(0, count) if pad.side == "right" else slice(length - count, length)


def _unclear(one: str, other: str, place: str) -> OlivelikeError:
    claim = f"the columns {one!r} and {other!r} differ in length, so what `{MASK}` masks is not clear"
    return fail(InputError, "OL206", claim, path=f"{place}.pad", hint=f"give the data a column `{MASK}`")
