"""A model's weights as they are before they are rounded: scaled along axes, shifted, read one at a time when asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.onnxfile.tensors import mapped
from olivelike_passes.quantization.activation_statistics import Statistics

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, TensorProto

    Values = NDArray[np.generic]
    Floats = NDArray[np.float32]


class Sources:
    """The main graph's weights and what was done to them."""

    def __init__(self, model: ModelProto, path: Path) -> None:
        """Starts with the weights as they are.

        Args:
            model: a structure whose constants are initializers.
            path: the file beside which external data lie.
        """
        self._tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        self._path = path
        self._factors: dict[str, list[tuple[int, Floats]]] = defaultdict(list)
        self._shifts: dict[str, Floats] = {}

    def scale(self, name: str, axis: int, factors: Floats) -> None:
        """Multiplies a weight along one of its axes."""
        self._factors[name].append((axis, factors))
        if name in self._shifts:
            self._shifts[name] = self._shifts[name] * factors

    def shift(self, name: str, difference: Floats) -> None:
        """Adds to a weight of one axis."""
        self._shifts[name] = self._shifts.get(name, 0) + difference

    def add(self, tensor: TensorProto) -> None:
        """Takes in a weight that was added to the model."""
        self._tensors[tensor.name] = tensor

    def changed(self, name: str) -> bool:
        """Whether something was done to a weight."""
        return name in self._factors or name in self._shifts

    def values(self, name: str) -> Values:
        """Returns a weight's values; they are mapped where nothing was done to it."""
        import numpy as np

        values = mapped(self._tensors[name], self._path)
        for axis, factors in self._factors.get(name, ()):
            shape = [1] * values.ndim
            shape[axis] = factors.size
            values = np.multiply(values, factors.reshape(shape), dtype=np.float32)
        if name in self._shifts:
            values = np.add(values, self._shifts[name].reshape(values.shape), dtype=np.float32)
        return values

    def reader(self, name: str) -> Callable[[], Values]:
        """Returns what returns a weight's values."""
        return partial(self.values, name)


def reach(values: Values, axis: int) -> Floats:
    """Returns the largest magnitude of a weight for each place on an axis."""
    import numpy as np

    other = tuple(place for place in range(values.ndim) if place != axis)
    largest: Floats = np.maximum(values.max(other), -values.min(other)).astype(np.float32)
    return largest


class Seen:
    """What was seen of the values that flow into layers, after they were scaled too.

    Attributes:
        ranges: lowest and highest number of each activation.
    """

    def __init__(self, statistics: Statistics, ranges: dict[str, tuple[float, float]]) -> None:
        """Starts with what was seen in the model as it was."""
        self.ranges = ranges
        self._statistics = statistics
        self._factors: dict[str, Floats] = {}

    def has(self, name: str) -> bool:
        """Whether a value was seen channel by channel."""
        return name in self._statistics

    def has_gram(self, name: str) -> bool:
        """Whether the products of a value's channels are known."""
        return self._statistics.has_gram(name)

    def peak(self, name: str) -> Floats:
        """Returns the largest magnitude of each channel."""
        return self._statistics.peak(name) * self._factors.get(name, 1)

    def mean(self, name: str) -> Floats:
        """Returns the mean of each channel."""
        return self._statistics.mean(name) * self._factors.get(name, 1)

    def gram(self, name: str) -> Floats:
        """Returns the mean products of each pair of channels."""
        gram = self._statistics.gram(name)
        factors = self._factors.get(name)
        return gram if factors is None else gram * factors[:, None] * factors[None, :]

    def scale(self, name: str, factors: Floats) -> None:
        """Multiplies a value's channels; its range becomes the peak of all, on one side only where it was so."""
        self._factors[name] = factors * self._factors.get(name, 1)
        most = float(self.peak(name).max(initial=0.0))
        low, high = self.ranges.get(name, (-1.0, 1.0))
        self.ranges[name] = (-most if low < 0 else 0.0, most if high > 0 else 0.0)
