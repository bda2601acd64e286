"""Preparing an entry's columns for a model: as they are, by the user's Python, or by a named transform."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from olivelike.contracts.data import Columns
from olivelike.contracts.transform import BatchMap, Surroundings, Transform, TransformConfig, Transformed
from olivelike.errors import InputError, OlivelikeError, fail
from olivelike.sources.ragged import ragged

if TYPE_CHECKING:
    from olivelike.contracts.data import Array


def as_read(columns: Mapping[str, Array]) -> Mapping[str, Array]:
    """Stands for an entry without `prepare`: the columns as they are."""
    return columns


@dataclass(frozen=True, slots=True)
class Named:
    """A named transform with its options.

    Attributes:
        transform: the transform.
        config: its validated options.
        files: the name of each of its files that exist to where it lies now.
        default: whether the model's task asked for it, and not the entry: then data that bear the model's inputs already
            stay as they are.
    """

    transform: Transform
    config: TransformConfig
    files: Mapping[str, Path]
    default: bool = False


Prepare: TypeAlias = Callable[..., object] | Named


def transformed(prepare: Prepare, columns: Columns, around: Surroundings) -> Transformed:
    """Returns the columns to draw from, and what maps a batch of them.

    Raises:
        InputError: from the named transform. The user's Python is called, and answers for itself, with each batch.
    """
    if isinstance(prepare, Named):
        if prepare.default and (_fed(columns, around) or not prepare.transform.applies(columns)):
            return Transformed(columns, as_read, around.label)
        return prepare.transform.open(prepare.config, columns, around)
    if prepare is as_read:
        return Transformed(columns, as_read, around.label)
    return Transformed(columns, _by_user(prepare, around), around.label)


def _fed(columns: Columns, around: Surroundings) -> bool:
    return all(around.asked.get(info.name, info.name) in columns.arrays for info in around.inputs)


def _by_user(prepare: Callable[..., object], around: Surroundings) -> BatchMap:
    def each(columns: Mapping[str, Array]) -> Mapping[str, Array]:
        return prepared(prepare, columns, around.label, around.place)

    return each


def prepared(prepare: Callable[..., object], columns: Mapping[str, Array], label: str, place: str) -> dict[str, Array]:
    """Returns what the user's `prepare` makes of a batch; the labels stay unless it returns some itself.

    Args:
        prepare: takes a dict of column names to arrays `[samples, ...]` and returns one.
        columns: the batch.
        label: the column of the labels, or empty.
        place: the data entry, for messages.

    Raises:
        InputError: OL209, it raised, or returned no such dict.
    """
    if prepare is as_read:
        return dict(columns)
    result = prepare(dict(columns))
    if not isinstance(result, Mapping):
        raise _unusable(f"returned a {type(result).__name__}", place)
    count = len(next(iter(columns.values())))
    made = {label: columns[label]} if label in columns else {}
    for name, values in result.items():
        try:
            made[str(name)] = array = _array(values)
        except (ValueError, TypeError, RuntimeError) as error:
            raise _unusable(f"returned values for {name!r} that make no array: {error}", place) from error
        if array.shape[:1] != (count,):
            raise _unusable(f"returned {name!r} of shape {array.shape} for {count} samples", place)
    return made


def _array(values: object) -> Array:
    """Returns values as an array; lists of numbers as the rows of a ragged one, whether or not these differ in length."""
    import numpy as np

    if isinstance(values, list | tuple) and values and all(isinstance(row, list | tuple) for row in values):
        rows = [np.asarray(row) for row in values]
        if all(row.dtype.kind in "biuf" for row in rows):
            return ragged(rows)
    return np.asarray(values)


def _unusable(claim: str, place: str) -> OlivelikeError:
    hint = "return {column: array} with one row for each sample"
    return fail(InputError, "OL209", claim, path=f"{place}.prepare", hint=hint)
