"""How far two models' values of one output are apart: sums over elements and over samples, kept batch by batch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from olivelike.contracts.metric import ValueSpec
from olivelike.contracts.outcome import Undefined, Value
from olivelike.digest import Json
from olivelike.evaluate.statistics.bootstrap import Resampling, Weighted, reweighted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows: TypeAlias = NDArray[np.float64]

MOST_DECIBELS = 200.0
"""Stands for the infinite ratio of equal outputs: float32 has 24 bits, so that what differs at all stays below 150 dB."""


@dataclass(slots=True)
class Distance:
    """Running sums over the batches of one output.

    Attributes:
        largest: absolute difference.
        total: of absolute differences.
        elements: how many.
        cosines: of each sample.
        noise: each sample's sum of squared differences.
        signal: each sample's sum of squares of the baseline's output.
        sizes: each sample's number of elements.
    """

    largest: float = 0.0
    total: float = 0.0
    elements: int = 0
    cosines: list[float] = field(default_factory=list)
    noise: list[float] = field(default_factory=list)
    signal: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def add(self, ours: Rows, theirs: Rows) -> None:
        """Takes a batch.

        Args:
            ours: the candidate's output, `[samples, elements]`.
            theirs: the baseline's.
        """
        import numpy as np

        apart = np.abs(ours - theirs)
        self.largest = max(self.largest, float(apart.max(initial=0.0)))
        self.total += float(apart.sum())
        self.elements += apart.size
        self.cosines += _cosines(ours, theirs)
        self.noise += (apart**2).sum(axis=1).tolist()
        self.signal += (theirs**2).sum(axis=1).tolist()
        self.sizes += [apart.shape[1]] * len(apart)

    def exact(self, name: str) -> float:
        """Returns a value that describes exactly the samples taken."""
        match name:
            case "max_abs":
                return self.largest
            case "mean_abs":
                return self.total / max(self.elements, 1)
            case _:
                return sum(self.cosines) / max(len(self.cosines), 1)

    def sampled(self, spec: ValueSpec, seed: int, level: float) -> Value:
        """Returns a value with its interval over samples, or why it is undefined."""
        if spec.name == "sqnr" and not sum(self.signal):
            return Undefined("the baseline's values are all zero, so there is no signal")
        if not self.elements:
            return Undefined("it has no elements")
        statistic = self._decibels() if spec.name == "sqnr" else self._ratio(self.noise, self.sizes)
        return reweighted(
            statistic, None, Resampling(len(self.noise), seed, level=level), better=spec.better, unit=spec.unit
        )

    def summary(self) -> dict[str, Json]:
        """Returns all values of this output, for the report; without `sqnr` where it is undefined."""
        values: dict[str, Json] = {name: self.exact(name) for name in ("max_abs", "mean_abs", "cosine")}
        noise, signal = sum(self.noise), sum(self.signal)
        values["mse"] = noise / max(self.elements, 1)
        if signal:
            values["sqnr"] = min(10 * math.log10(signal / noise), MOST_DECIBELS) if noise else MOST_DECIBELS
        return values

    def _ratio(self, upper: list[float], lower: list[float] | list[int]) -> Weighted:
        import numpy as np

        above, below = np.array(upper), np.array(lower, dtype=np.float64)
        return lambda weights: above @ weights / (below @ weights)

    def _decibels(self) -> Weighted:
        import numpy as np

        ratio = self._ratio(self.signal, self.noise)

        def decibels(weights: Rows) -> Rows:
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.asarray(np.minimum(10 * np.log10(ratio(weights)), MOST_DECIBELS))

        return decibels


def _cosines(ours: Rows, theirs: Rows) -> list[float]:
    import numpy as np

    norms = np.linalg.norm(ours, axis=1), np.linalg.norm(theirs, axis=1)
    product = norms[0] * norms[1]
    same_zero = (norms[0] == 0) & (norms[1] == 0)
    cosine = np.where(product > 0, (ours * theirs).sum(axis=1) / np.where(product > 0, product, 1.0), same_zero)
    return [float(value) for value in np.clip(cosine, -1.0, 1.0)]
