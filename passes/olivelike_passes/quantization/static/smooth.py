"""SmoothQuant: outliers in channels of activations move into the weights behind them, through the norm before them.

Xiao et al. 2022, "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models", arXiv 2211.10438.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike.onnxfile.walk import nodes
from olivelike_passes.quantization.static.linear import Linear, linear_layers
from olivelike_passes.quantization.static.sources import Seen, Sources, reach

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    Floats = NDArray[np.float32]

NORMS = ("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")
LEAST = 1e-5
"""The smallest factor; the paper's code has the same."""


def smooth(model: ModelProto, sources: Sources, seen: Seen, alpha: float) -> int:
    """Scales activations down and weights up by `max|X|^alpha / max|W|^(1 - alpha)` per channel; returns how many activations.

    Only activations whose scale goes into constants before them are taken: of a layer norm, of a `Mul`, or of a `Mul` and an
    `Add`, behind which there is nothing but products.

    Args:
        model: a structure whose constants are initializers; it stays as it is.
        sources: its weights, which are scaled.
        seen: what flows through it, which is scaled.
        alpha: how much of the difficulty goes to the weights, 0 to 1.
    """
    layers: dict[str, list[Linear]] = {}
    for layer in linear_layers(model):
        if layer.node.op_type != "Conv":
            layers.setdefault(layer.node.input[0], []).append(layer)
    graph = _Graph(model)
    count = 0
    for value, behind in layers.items():
        before = graph.scales_before(value)
        if before.constants and seen.has(value) and graph.reads[value] == len(behind):
            factors = _factors(
                seen.peak(value), [reach(sources.values(layer.weight.name), layer.inputs) for layer in behind], alpha
            )
            _apply(value, factors, before, behind, sources, seen)
            count += 1
    return count


def _apply(
    value: str, factors: Floats, before: _Before, behind: Sequence[Linear], sources: Sources, seen: Seen
) -> None:
    import numpy as np

    inverse: Floats = np.divide(1, factors, dtype=np.float32)
    if before.inner:  # a value plus a constant: what the value is at most follows from both
        shift = np.abs(sources.values(before.constants[0]).astype(np.float32))
        most = float(((seen.peak(value) + shift) * inverse).max(initial=0.0))
        seen.ranges[before.inner] = (-most, most)
    for name in before.constants:
        sources.scale(name, 0, inverse)
    for layer in behind:
        sources.scale(layer.weight.name, layer.inputs, factors)
    seen.scale(value, inverse)


def _factors(peak: Floats, weights: Sequence[Floats], alpha: float) -> Floats:
    import numpy as np

    largest = np.maximum.reduce([*weights]).astype(np.float64)
    usable = (peak > 0) & (largest > 0)
    factors = np.ones(peak.shape)
    factors[usable] = peak[usable].astype(np.float64) ** alpha / largest[usable] ** (1 - alpha)
    return np.maximum(factors, LEAST).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Before:
    """The constants before a value, the one that is added first, and the value to which it is added."""

    constants: Sequence[str]
    inner: str = ""


NOTHING = _Before(())


class _Graph:
    def __init__(self, model: ModelProto) -> None:
        self.reads: dict[str, int] = {}
        for node in nodes(model):
            for name in node.input:
                self.reads[name] = self.reads.get(name, 0) + 1
        for entry in (*model.graph.input, *model.graph.output):
            self.reads[entry.name] = self.reads.get(entry.name, 0) + 1
        self._makers = {name: node for node in model.graph.node for name in node.output}
        self._vectors = {
            tensor.name
            for tensor in model.graph.initializer
            if len(tensor.dims) == 1 and self.reads.get(tensor.name) == 1
        }

    def scales_before(self, value: str) -> _Before:
        """Returns the constants that scale a value's channels if they are scaled; none where there are no such."""
        node = self._makers.get(value)
        if node is None:
            return NOTHING
        if node.op_type in NORMS:
            constants = [name for name in node.input[1:3] if name]
            last = next((a.i for a in node.attribute if a.name == "axis"), -1) == -1
            return _Before(constants) if last and all(name in self._vectors for name in constants) else NOTHING
        if node.op_type == "Mul":
            return _Before(self._vector(node))
        if node.op_type == "Add" and (shift := self._vector(node)):
            other = next(name for name in node.input if name not in shift)
            inner = self._makers.get(other)
            scale = self._vector(inner) if inner is not None and inner.op_type == "Mul" else []
            return _Before([*shift, *scale], other) if scale and self.reads[other] == 1 else NOTHING
        return NOTHING

    def _vector(self, node: NodeProto) -> list[str]:
        found = [name for name in node.input if name in self._vectors]
        return found if len(found) == 1 else []
