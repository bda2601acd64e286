"""The user's `prepare`: one batch's columns in, columns of as many samples out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from olivelike.errors import InputError, OlivelikeError, fail

if TYPE_CHECKING:
    from olivelike.contracts.data import Array


def as_read(columns: Mapping[str, Array]) -> Mapping[str, Array]:
    """Stands for an entry without `prepare`: the columns as they are."""
    return columns


def prepared(prepare: Callable[..., object], columns: Mapping[str, Array], label: str, place: str) -> dict[str, Array]:
    """Returns what `prepare` makes of a batch; the labels stay unless it returns some itself.

    Args:
        prepare: takes a dict of column names to arrays `[samples, ...]` and returns one.
        columns: the batch.
        label: the column of the labels, or empty.
        place: the data entry, for messages.

    Raises:
        InputError: OL209, it raised, or returned no such dict.
    """
    import numpy as np

    if prepare is as_read:
        return dict(columns)
    result = prepare(dict(columns))
    if not isinstance(result, Mapping):
        raise _unusable(f"returned a {type(result).__name__}", place)
    count = len(next(iter(columns.values())))
    made = {label: columns[label]} if label in columns else {}
    for name, values in result.items():
        try:
            made[str(name)] = array = np.asarray(values)
        except (ValueError, TypeError, RuntimeError) as error:
            raise _unusable(f"returned values for {name!r} that make no array: {error}", place) from error
        if array.shape[:1] != (count,):
            raise _unusable(f"returned {name!r} of shape {array.shape} for {count} samples", place)
    return made


def _unusable(claim: str, place: str) -> OlivelikeError:
    hint = "return {column: array} with one row for each sample"
    return fail(InputError, "OL209", claim, path=f"{place}.prepare", hint=hint)
