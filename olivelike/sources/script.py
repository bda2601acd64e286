"""The data reader `script`: what a user's function returns becomes columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from pydantic import BaseModel, Field, JsonValue

from olivelike.contracts.data import Column, Columns, DataReader, ReaderConfig
from olivelike.errors import InputError, OlivelikeError, fail
from olivelike.sources.calling import Indexed, UserCall, load_call
from olivelike.sources.closure import script_files
from olivelike.sources.mapping import LABEL

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

__all__ = ["Script", "ScriptConfig", "load_call", "script_files"]

ACCEPTED = "return {column: array}, ({column: array}, labels), or yield one ({column: value}, label) or dict per sample"


class ScriptConfig(ReaderConfig):
    """Configuration of `script`."""

    script: str
    """The Python file; what it imports from its own folder comes along."""
    call: str
    """The name of a callable in it."""
    args: dict[str, JsonValue] = Field(default_factory=dict)
    """Its keyword arguments."""


class Script(DataReader):
    """Reads `{script: user.py, call: load, args: {...}}`.

    The function is called with `args` and returns one of

    - a mapping of column names to arrays `[samples, ...]`;
    - a pair of such a mapping and the labels, which become the column `label`;
    - an iterable (a list, a generator, a dataset) of samples, each a mapping of column names to values **without** a batch
      axis, or a pair of such a mapping and the sample's label.
    """

    config: ClassVar[type[BaseModel]] = ScriptConfig
    brings_labels: ClassVar[bool] = True

    def files(self, config: BaseModel) -> tuple[str, ...]:
        """Returns the script."""
        return (cast("ScriptConfig", config).script,)

    def read(self, config: BaseModel, files: Mapping[str, Path], call: Callable[..., object]) -> Columns:
        """Calls the user's function (`call`, its arguments bound) and turns what it returns into columns.

        Raises:
            InputError: OL209, the function raises or returns something else.
        """
        typed = cast("ScriptConfig", config)
        place = f"{files[typed.script]} {typed.call}()"
        result = call()
        if isinstance(call, UserCall) and _is_sequence_of_samples(result):
            result = call.each(cast("Indexed", result))
        return Columns(_columns(result, place))


def _is_sequence_of_samples(result: object) -> bool:
    plain = isinstance(result, Mapping | str | bytes | tuple | Iterator) or hasattr(result, "dtype")
    return not plain and isinstance(result, Iterable | Indexed)


def _columns(result: object, place: str) -> dict[str, Column]:
    if isinstance(result, Mapping):
        return _arrays(result, place)
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], Mapping):
        columns, labels = result
        if not isinstance(labels, Mapping | tuple):  # else it is a tuple of two samples
            return _arrays({**columns, LABEL: labels}, place)
    if isinstance(result, Iterable) and not isinstance(result, str | bytes) and not hasattr(result, "dtype"):
        return _arrays(_gathered(result, place), place)
    raise _unusable(f"returns {_described(result)}", place)


def _gathered(samples: Iterable[object], place: str) -> dict[str, list[object]]:
    gathered: dict[str, list[object]] = {}
    count = 0
    for count, sample in enumerate(samples, start=1):
        values = _values(sample, count, place)
        if count > 1 and set(values) != set(gathered):
            claim = f"sample {count - 1} has the columns {_listed(values)}, the one before {_listed(gathered)}"
            raise _unusable(claim, place)
        for name, value in values.items():
            gathered.setdefault(name, []).append(value)
    if not count:
        raise _unusable("yields no sample", place)
    return gathered


def _values(sample: object, number: int, place: str) -> Mapping[str, object]:
    if isinstance(sample, Mapping):
        return cast("Mapping[str, object]", sample)
    if isinstance(sample, tuple | list) and len(sample) == 2 and isinstance(sample[0], Mapping):
        return {**sample[0], LABEL: sample[1]}
    raise _unusable(f"yields {_described(sample)} as sample {number - 1}", place)


def _arrays(columns: Mapping[str, object], place: str) -> dict[str, Column]:
    if not columns:
        raise _unusable("returns no column", place)
    return {str(name): _array(str(name), values, place) for name, values in columns.items()}


def _array(name: str, values: object, place: str) -> Array:
    import numpy as np

    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:  # samples of unequal shape, tensors that need gradients
        raise _unusable(f"gives values for {name!r} that make no array: {error}", place) from error
    if not array.ndim:
        raise _unusable(f"gives {_described(values)} for {name!r}, without an axis of samples", place)
    if array.dtype.kind == "O" and not all(isinstance(value, str) for value in array.flat):
        others = [value for value in array.flat if not isinstance(value, str)]
        odd = next((value for value in others if not isinstance(value, int | float)), others[0])
        raise _unusable(f"gives values for {name!r} that are neither numbers nor text: {_described(odd)}", place)
    return array


def _described(value: object) -> str:
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"an array {tuple(value.shape)} of {value.dtype}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"a {type(value).__name__}"


def _listed(names: Iterable[object]) -> str:
    return ", ".join(sorted(map(str, names)))


def _unusable(claim: str, place: str) -> OlivelikeError:
    return fail(InputError, "OL209", claim, place=place, hint=ACCEPTED)
