"""How far two models' values of one name are apart, over the batches that both were fed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from olivelike.digest import Json, JsonObject
from olivelike.evaluate.quality.distances import Distance

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

NUMBERS = "biuf"
"""Kinds of numpy types that hold numbers."""


@dataclass(frozen=True, slots=True)
class Apart:
    """How far two values are apart, over all elements and samples; the metric `parity` computes the same.

    Attributes:
        name: of the value.
        max_abs: the largest absolute difference.
        mean_abs: the mean over elements.
        relative: the norm of the difference over the norm of the first model's value; infinite where that is zero.
        cosine: the mean over samples of the cosine between the two.
        sqnr: ten times the logarithm of the first's power over the difference's, in dB, 200 where they are equal; not a
            number where the first is all zero.
    """

    name: str
    max_abs: float
    mean_abs: float
    relative: float
    cosine: float
    sqnr: float

    @property
    def equal(self) -> bool:
        """Whether no element differs."""
        return not self.max_abs

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {
            "name": self.name,
            "max_abs": self.max_abs,
            "mean_abs": self.mean_abs,
            "relative": _json(self.relative),
            "cosine": self.cosine,
            "sqnr": _json(self.sqnr),
        }


@dataclass(frozen=True, slots=True)
class NotCompared:
    """A value that both models have and that is not compared, and why."""

    name: str
    reason: str

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {"name": self.name, "reason": self.reason}


@dataclass(slots=True)
class Comparison:
    """Takes two models' values of one name batch by batch."""

    name: str
    _distance: Distance = field(default_factory=Distance)
    _reason: str = ""

    def add(self, first: object, second: object, samples: int) -> None:
        """Takes what both models gave for one batch; after the first reason against it nothing counts."""
        import numpy as np

        if self._reason:
            return
        if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
            for one, other in zip(first, second, strict=True):  # a sequence of tensors
                self.add(one, other, samples)
        elif not (isinstance(first, np.ndarray) and isinstance(second, np.ndarray)):
            self._reason = "it is no tensor"
        elif first.shape != second.shape:
            self._reason = f"its shape is {list(first.shape)} in A and {list(second.shape)} in B"
        elif first.dtype.kind not in NUMBERS or second.dtype.kind not in NUMBERS:
            self._reason = "" if np.array_equal(first, second) else "it holds texts, and they differ"
        else:
            self._add_numbers(first, second, samples)

    def result(self) -> Apart | NotCompared:
        """Returns how far they are apart."""
        if self._reason:
            return NotCompared(self.name, self._reason)
        found = self._distance
        noise, signal = sum(found.noise), sum(found.signal)
        relative = math.sqrt(noise / signal) if signal else math.inf if noise else 0.0
        told = found.summary()
        return Apart(
            self.name,
            found.largest,
            found.exact("mean_abs"),
            relative,
            found.exact("cosine") if found.cosines else 1.0,
            cast("float", told.get("sqnr", math.nan)),
        )

    def _add_numbers(self, first: Array, second: Array, samples: int) -> None:
        import numpy as np

        ours, theirs = first.astype(np.float64), second.astype(np.float64)
        odd = ~(np.isfinite(ours) & np.isfinite(theirs))
        if odd.any():  # a mask may well hold infinities: where both hold the same there is no difference
            unlike = int((~np.isclose(ours[odd], theirs[odd], rtol=0, atol=0, equal_nan=True)).sum())
            if unlike:
                self._reason = f"{unlike} of {ours.size} elements are finite in one model only"
                return
            if odd.all():
                self._reason = "none of its elements is a finite number, in either model: try other inputs"
                return
            ours[odd] = theirs[odd] = 0.0
        rows = samples if ours.ndim and ours.shape[0] == samples else 1
        shape = (rows, ours.size // rows)
        self._distance.add(theirs.reshape(shape), ours.reshape(shape))


def _json(value: float) -> Json:
    return value if math.isfinite(value) else None
