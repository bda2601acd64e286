"""Cross-layer equalization: channels between two layers are scaled so that both weights spread alike over them.

Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", arXiv 1906.04721, section 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from olivelike_passes.graph.wiring import Wiring
from olivelike_passes.quantization.static.linear import Linear, linear_layers
from olivelike_passes.quantization.static.sources import Seen, Sources, reach

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto

    Floats = NDArray[np.float32]

SWEEPS = 3
"""How often all pairs are gone through: a layer between two others stands in two pairs."""


def equalize(model: ModelProto, sources: Sources, seen: Seen) -> int:
    """Scales the channels between each pair of layers with nothing or a `Relu` between; returns how many pairs there are.

    Args:
        model: a structure whose constants are initializers; it stays as it is.
        sources: its weights, which are scaled.
        seen: what flows through it, which is scaled.
    """
    pairs = [pair for pair in _pairs(model) if seen.has(pair[1].node.input[0])]
    for _ in range(SWEEPS):
        for first, second in pairs:
            _equalize(first, second, sources, seen)
    return len(pairs)


def _pairs(model: ModelProto) -> Iterator[tuple[Linear, Linear]]:
    layers = {id(layer.node): layer for layer in linear_layers(model)}
    wiring = Wiring(model)
    for layer in layers.values():
        value = layer.node.output[0]
        relu = wiring.taker(value, "Relu")
        taker = wiring.taker(relu.output[0] if relu is not None else value, *_kin(layer))
        second = layers.get(id(taker)) if taker is not None else None
        if second is not None and taker is not None and taker.input[0] == (relu.output[0] if relu else value):
            yield layer, second


def _kin(layer: Linear) -> tuple[str, ...]:
    """Returns the operators that take channels from the axis on which a layer puts them: the second, or the last."""
    return ("Conv",) if layer.node.op_type == "Conv" else ("Gemm", "MatMul")


def _equalize(first: Linear, second: Linear, sources: Sources, seen: Seen) -> None:
    import numpy as np

    before = reach(sources.values(first.weight.name), first.outputs)
    after = reach(sources.values(second.weight.name), second.inputs)
    usable = (before > 0) & (after > 0)
    factors = np.ones(before.shape, np.float32)
    factors[usable] = np.sqrt(before[usable] / after[usable])
    inverse: Floats = np.divide(1, factors, dtype=np.float32)
    sources.scale(first.weight.name, first.outputs, inverse)
    if first.bias:
        sources.scale(first.bias, 0, inverse)
    sources.scale(second.weight.name, second.inputs, factors)
    _scale_ranges(first.node.output[0], second.node.input[0], inverse, seen)


def _scale_ranges(made: str, taken: str, factors: Floats, seen: Seen) -> None:
    seen.scale(taken, factors)
    if made != taken and made in seen.ranges:  # before the Relu
        low, _ = seen.ranges[made]
        seen.ranges[made] = (low * float(factors.max()), seen.ranges[taken][1])
