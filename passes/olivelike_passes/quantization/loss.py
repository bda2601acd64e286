"""What a layer loses when its weights are rounded: in one pass over the weight, for several formats at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.tensors import mapped
from olivelike_passes.quantization.activation_statistics import Statistics
from olivelike_passes.quantization.formats import Format, FormatName
from olivelike_passes.quantization.layers import Layer
from olivelike_passes.slices import in_slices

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float32]

By: TypeAlias = Literal["gram", "mean squares", "weights"]
PRODUCTS = 1_500_000_000
"""Multiplications for one format, beyond which some outputs stand for all."""
FEWEST = 512
"""Outputs that are looked at all the same."""
STEPS = 255


@dataclass(frozen=True, slots=True)
class Rounding:
    """What one format does to a layer: SQNR of its weight in dB (None: exact), relative squared error of its output."""

    sqnr: float | None
    error: float


@dataclass(frozen=True, slots=True)
class Loss:
    """What a layer loses.

    Attributes:
        by: what the outputs' errors were found by: products of inputs, their mean squares, or the weights alone.
        activation_error: what 8-bit inputs add to the output's relative squared error; 0 where no data were seen.
        formats: format to what it does.
    """

    by: By
    activation_error: float
    formats: Mapping[FormatName, Rounding]


def loss_of(layer: Layer, model: Path, formats: Sequence[FormatName], statistics: Statistics | None) -> Loss:
    """Returns what a layer loses in some formats.

    The error of a layer's output `x W` is `tr(dW^T G dW) / tr(W^T G W)` with G the mean of `x^T x` over the data; it is exact.
    What rounding inputs adds is taken from their mean squares: a channel is off by `step^2 / 12`, and by no more than itself.

    Raises:
        RefusedError: OL301, the weight is not finite.
    """
    import numpy as np

    values = mapped(layer.tensor, model)
    largest = _largest(layer, values)
    parsed = {name: Format.named(name) for name in formats}
    weigh = _Weigher(layer, statistics)
    sums: dict[int, NDArray[np.float64]] = {}

    def look(part: slice) -> None:
        rows = layer.rows(values, part)
        errors = [form.rounded(rows, largest) - rows for form in parsed.values()]
        sums[part.start] = weigh.sums([rows, *errors], part.start)

    in_slices(layer.outputs, layer.inputs, look)
    weights, outputs, noise = np.sum(
        [sums[start] for start in sorted(sums)], axis=0
    )  # in one order, however many cores there are
    found = {
        name: Rounding(_decibels(weights[0], weights[place]), _share(outputs[place], outputs[0]))
        for place, name in enumerate(parsed, 1)
    }
    return Loss(weigh.by, _share(noise[0], outputs[0]), found)


class _Weigher:
    """Sums up squares of weights and of what they make of a layer's inputs.

    Attributes:
        by: what it knows of the inputs.
    """

    def __init__(self, layer: Layer, statistics: Statistics | None) -> None:
        import numpy as np

        self.by: By = "weights"
        self._layer = layer
        self._stride = 1
        self._squares: Floats = np.ones((1, 1), np.float32)
        self._noise: Floats = np.zeros((1, 1), np.float32)
        self._gram: Floats = np.zeros((0, 0), np.float32)
        if statistics is None or layer.input not in statistics:
            return
        self.by = "mean squares"
        squares = statistics.mean_square(layer.input)
        step = (max(statistics.high(layer.input).max(), 0) - min(statistics.low(layer.input).min(), 0)) / STEPS
        self._squares = _by_group(squares, layer)
        self._noise = _by_group(np.minimum(squares, np.float32(step**2 / 12)), layer)
        if statistics.has_gram(layer.input):
            self.by = "gram"
            self._gram = statistics.gram(layer.input)
            few = max(PRODUCTS // layer.inputs**2, FEWEST)
            self._stride = -(-layer.outputs // few)

    def sums(self, parts: Sequence[Floats], start: int) -> NDArray[np.float64]:
        """Returns three rows of sums, one for each of some matrices `[outputs, inputs]`.

        Those of squares; of the squares of outputs; and of what rounded inputs would do to the outputs.

        Args:
            parts: the weights, and their errors in each format.
            start: the number of their first output.
        """
        import numpy as np

        groups = np.arange(start, start + len(parts[0])) * self._layer.groups // self._layer.outputs
        few = slice(None, None, self._stride)
        found = np.zeros((3, len(parts)))
        for place, part in enumerate(parts):
            squares = np.square(part)
            found[0, place] = squares.sum(dtype=np.float64)
            found[1, place] = self._outputs(part[few], squares[few], groups[few])
        noise = self._noise[groups[few]] if len(self._noise) > 1 else self._noise
        found[2, 0] = (np.square(parts[0][few]) * noise).sum(dtype=np.float64)
        return found

    def _outputs(self, part: Floats, squares: Floats, groups: NDArray[np.intp]) -> float:
        import numpy as np

        if self._gram.size:
            return float(((part @ self._gram) * part).sum(dtype=np.float64))
        weights = self._squares[groups] if len(self._squares) > 1 else self._squares
        return float((squares * weights).sum(dtype=np.float64))


def _by_group(channels: Floats, layer: Layer) -> Floats:
    """Spreads a number for each input channel to the weights of an output, `[groups, inputs]`."""
    import numpy as np

    return np.repeat(channels, layer.kernel).reshape(layer.groups, layer.inputs)


def _largest(layer: Layer, values: NDArray[np.generic]) -> float:
    """Returns a weight's largest magnitude.

    Raises:
        RefusedError: OL301, a number is not finite.
    """
    import numpy as np

    found: dict[int, float] = {}

    def look(part: slice) -> None:
        found[part.start] = float(np.abs(layer.rows(values, part)).max(initial=0))  # NaN stays NaN

    in_slices(layer.outputs, layer.inputs, look)
    largest = float(np.max(list(found.values())))
    if not np.isfinite(largest):
        claim = f"the weight {layer.tensor.name!r} holds NaN or an infinity, from which no scale can be taken"
        raise fail(RefusedError, "OL301", claim, hint="mend the model where it was trained")
    return largest


def _decibels(signal: float, noise: float) -> float | None:
    return 10 * log10(signal / noise) if signal and noise else None


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0
