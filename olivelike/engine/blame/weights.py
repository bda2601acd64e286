"""The integers that stand for weights: whether they are still BASE's weights, and by which scale they would be.

They are told by the endings that ONNX Runtime's quantizers give names; block-wise weights (`MatMulNBits`) are not looked into.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike.engine.blame.pairing import INTEGER_ENDING, Pairing, Unit
from olivelike.onnxfile.wiring import reads

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import TensorProto

    Numbers = NDArray[np.float64]

TRANSPOSED = "_Transposed"
"""What ONNX Runtime's dynamic quantizer puts behind the name of a Gemm's weight that it turned."""
WORSE = 2.0
"""By how much another scale must lower the error of the weights before the one in the model counts as wrong: a scale in order
is that of least squares within a few percent."""


@dataclass(frozen=True, slots=True)
class IntegerWeight:
    """A weight in integers beside BASE's.

    Attributes:
        scale_name: the name of the scale in QUANTIZED.
        scale: its values, of the shape that they have there.
        wanted: BASE's weights.
        steps: the integers less their zero point, of the same shape.
        axis: along which there are several scales; -1 for one scale of all.
    """

    scale_name: str
    scale: NDArray[np.generic]
    wanted: Numbers
    steps: Numbers
    axis: int

    @property
    def is_off(self) -> bool:
        """Whether the integers stand for something else than BASE's weights: off by more than a whole step on average.

        Rounding is off by half a step at most.
        """
        return not self.error(self.scale) <= self.spread(self.scale)

    @property
    def is_mendable(self) -> bool:
        """Whether the scale of least squares is clearly closer to BASE's weights than the one in the model."""
        fitted = self.fitted
        return bool((fitted > 0).all()) and not self.error(self.scale) <= WORSE * self.error(fitted)

    @property
    def fitted(self) -> Numbers:
        """The scale of least squares, flat: `sum(w q) / sum(q q)` over the weights that share it."""
        import numpy as np

        others = tuple(place for place in range(self.steps.ndim) if place != self.axis)
        power = (self.steps**2).sum(axis=others)
        product = (self.wanted * self.steps).sum(axis=others)
        return np.atleast_1d(np.where(power > 0, product / np.where(power > 0, power, 1.0), 1.0))

    def error(self, scale: NDArray[np.generic]) -> float:
        """Returns the root mean square of what the weights are off by with a scale."""
        import numpy as np

        return float(np.sqrt(((self.wanted - self.steps * self._shaped(scale)) ** 2).mean()))

    def spread(self, scale: NDArray[np.generic]) -> float:
        """Returns the root mean square of the step between neighbouring integers."""
        import numpy as np

        return float(np.sqrt((self._shaped(scale) ** 2).mean()))

    def _shaped(self, scale: NDArray[np.generic]) -> Numbers:
        import numpy as np

        shape = [-1 if place == self.axis else 1 for place in range(self.steps.ndim)]
        return scale.astype(np.float64).reshape(shape)


def integer_weights(pairing: Pairing, unit: Unit) -> Iterator[IntegerWeight]:
    """Yields the weights that a unit reads as integers and that BASE has too."""
    nodes = pairing.quantized.graph.node
    held = {tensor.name: tensor for tensor in pairing.quantized.graph.initializer}
    weights = {tensor.name: tensor for tensor in pairing.base.graph.initializer}
    names = {name for place in unit.quantized for name in reads(nodes[place]) if name.endswith(INTEGER_ENDING)}
    for name in sorted(names & held.keys()):
        yield from _paired(name.removesuffix(INTEGER_ENDING), held, weights)


def _paired(name: str, held: Mapping[str, TensorProto], weights: Mapping[str, TensorProto]) -> Iterator[IntegerWeight]:
    """Yields the weight, unless its scale is not beside it (biases take theirs from elsewhere) or shapes do not agree."""
    import numpy as np
    from onnx import numpy_helper

    wanted = _wanted(name, weights)
    if f"{name}_scale" not in held or wanted is None:
        return
    whole = numpy_helper.to_array(held[name + INTEGER_ENDING]).astype(np.float64)
    scale = numpy_helper.to_array(held[f"{name}_scale"])
    offset = np.zeros(1)
    if f"{name}_zero_point" in held:
        offset = numpy_helper.to_array(held[f"{name}_zero_point"]).astype(np.float64)
    if whole.shape != wanted.shape or not scale.size or offset.size not in (1, scale.size):
        return
    found = []
    for axis in [-1] if scale.size == 1 else [axis for axis, size in enumerate(whole.shape) if size == scale.size]:
        shape = [-1 if place == axis and offset.size > 1 else 1 for place in range(whole.ndim)]
        found.append(IntegerWeight(f"{name}_scale", scale, wanted, whole - offset.reshape(shape), axis))
    if found:
        yield min(found, key=lambda weight: weight.error(weight.fitted))


def _wanted(name: str, weights: Mapping[str, TensorProto]) -> Numbers | None:
    import numpy as np
    from onnx import numpy_helper

    if name in weights:
        return numpy_helper.to_array(weights[name]).astype(np.float64)
    turned = weights.get(name.removesuffix(TRANSPOSED))
    return None if turned is None else numpy_helper.to_array(turned).astype(np.float64).T
