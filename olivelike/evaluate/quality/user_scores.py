"""What a user's function returned as scores of a batch: checked, and taken apart into columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from olivelike.contracts.data import ScriptCall
from olivelike.errors import InputError, OlivelikeError, fail, nearest
from olivelike.evaluate.quality.side_by_side import Rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers: TypeAlias = NDArray[np.float64] | NDArray[np.bool_]

UP, DOWN = " numerator", " denominator"
"""What is added to a value's name for the two columns of a ratio of sums; a value's name holds no blank."""
ACCEPTED = "return scores [samples], a pair (numerators, denominators) of such arrays, or a mapping of names to either"


class UserScores:
    """Turns what the user's function returns into columns; every batch must have the form of the first.

    Attributes:
        call: the function as the workflow names it, for messages.
        values: the names of the values that are asked for.
        range: what a score of one sample may be.
    """

    def __init__(
        self, call: ScriptCall, values: Sequence[str], range: tuple[float, float] | Literal["unbounded"]
    ) -> None:
        self.call = call
        self.values = tuple(values)
        self.range = range
        self._form: tuple[str, ...] = ()

    def rows(self, returned: object, size: int) -> Rows:
        """Returns a column of each value's scores, or two of a ratio's numerators and denominators.

        Args:
            returned: by the user's function.
            size: the number of samples.

        Raises:
            InputError: OL209, with the script's name.
        """
        rows: dict[str, Numbers] = {}
        for name, scores in self._by_name(returned).items():
            rows.update(self._columns(name, scores, size))
        form = tuple(rows)
        if self._form and form != self._form:
            claim = f"gives {', '.join(form)} for one batch and {', '.join(self._form)} for the first"
            raise self._unusable(claim, "return the same form for every batch")
        self._form = form
        return rows

    def _by_name(self, returned: object) -> dict[str, object]:
        if not isinstance(returned, Mapping):
            if len(self.values) > 1:
                claim = f"returns {_described(returned)} where {len(self.values)} values are asked for"
                raise self._unusable(claim, f"return a mapping of {', '.join(self.values)} to their scores")
            return {self.values[0]: returned}
        for name in returned:
            if name not in self.values:
                raise self._unusable(f"gives {name!r}, which `values` does not name", nearest(str(name), self.values))
        for name in self.values:
            if name not in returned:
                raise self._unusable(f"gives no {name!r}, which `values` names", nearest(name, map(str, returned)))
        return {name: returned[name] for name in self.values}

    def _columns(self, name: str, scores: object, size: int) -> dict[str, Numbers]:
        if isinstance(scores, tuple) and _is_ratio(scores):
            up, down = (self._numbers(name, part, size) for part in scores)
            if (down < 0).any():
                raise self._unusable(f"gives a negative denominator for {name!r}: {down.min():g}", ACCEPTED)
            return {name + UP: up, name + DOWN: down}
        column = self._numbers(name, scores, size)
        if isinstance(self.range, tuple):
            low, high = self.range
            outside = column[(column < low) | (column > high)]
            if outside.size:
                claim = f"gives {outside[0]:g} for {name!r}, outside the range from {low:g} to {high:g}"
                raise self._unusable(claim, "state the metric's `range`, or `range: unbounded`")
        return {name: column}

    def _numbers(self, name: str, scores: object, size: int) -> Numbers:
        import numpy as np

        try:
            array = np.asarray(scores)
        except (ValueError, TypeError, RuntimeError) as error:  # rows of unequal length, tensors that need gradients
            raise self._unusable(f"gives for {name!r} what makes no array: {error}", ACCEPTED) from error
        if array.dtype.kind not in "biuf":
            raise self._unusable(f"gives {_described(scores)} for {name!r}, not numbers", ACCEPTED)
        if array.shape != (size,):
            claim = f"gives an array {list(array.shape)} for {name!r} where {size} samples need [{size}]"
            raise self._unusable(claim, "return one number for each sample of the batch")
        if not np.isfinite(array).all():
            at = int((~np.isfinite(array)).argmax())
            raise self._unusable(
                f"gives {array[at]} for {name!r}, of sample {at} in a batch", "return a number for every sample"
            )
        return array.astype(np.bool_) if array.dtype.kind == "b" else array.astype(np.float64)

    def _unusable(self, claim: str, hint: str) -> OlivelikeError:
        return fail(InputError, "OL209", f"{self.call.call}() {claim}", place=self.call.script, hint=hint)


def _is_ratio(scores: tuple[object, ...]) -> bool:
    """Whether this is a pair of arrays; a pair of numbers is two samples' scores."""
    return len(scores) == 2 and any(hasattr(part, "__len__") for part in scores)


def _described(value: object) -> str:
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"an array {list(value.shape)} of {value.dtype}"
    return f"a {type(value).__name__}"
