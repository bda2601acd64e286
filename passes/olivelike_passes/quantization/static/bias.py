"""Bias correction: what rounding a weight adds to the mean of a layer's output is taken off its bias.

Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", arXiv 1906.04721, section 4.2, with
means that were seen instead of means inferred from a batch norm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from olivelike_passes.graph.wiring import Wiring
from olivelike_passes.quantization.coded import Names
from olivelike_passes.quantization.static.linear import Linear, linear_layers
from olivelike_passes.quantization.static.sources import Seen, Sources
from olivelike_passes.quantization.static.weights import Weight, dequantized
from olivelike_passes.quantization.tool import Scheme
from olivelike_passes.slices import one_thread_of_blas

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto

    Floats = NDArray[np.float32]


def correct_biases(
    model: ModelProto,
    weights: Mapping[str, Weight],
    sources: Sources,
    seen: Seen,
    scheme: Scheme,
) -> int:
    """Shifts the bias of each layer by the mean error of its output; a layer without one is given one.

    Args:
        model: a structure whose constants are initializers; biases are added to it.
        weights: those that will be rounded.
        sources: the model's weights, whose biases are shifted.
        seen: what flows through it.
        scheme: how weights are rounded.

    Returns:
        How many layers were corrected.
    """
    wiring = Wiring(model)
    names = Names(model)
    count = 0
    for layer in list(linear_layers(model)):
        weight = weights.get(layer.weight.name)
        if weight is None or layer.node.name in scheme.exclude or not seen.has(layer.node.input[0]):
            continue
        bias = layer.bias or _added(layer, wiring)
        if not bias and layer.bare:
            bias = _given(layer, model, sources, names)
        if bias:
            error = _mean_error(layer, weight, seen.mean(layer.node.input[0]), scheme)
            sources.shift(bias, error)
            count += 1
    return count


def _mean_error(layer: Linear, weight: Weight, mean: Floats, scheme: Scheme) -> Floats:
    import numpy as np

    lost = weight.values().astype(np.float64) - dequantized(weight, scheme)
    if layer.depthwise:
        error = lost.reshape(lost.shape[0], -1).sum(1) * mean
    else:
        by_channel = np.moveaxis(lost, (layer.outputs, layer.inputs), (0, 1))
        with one_thread_of_blas():
            error = by_channel.reshape(*by_channel.shape[:2], -1).sum(2) @ mean.astype(np.float64)
    found: Floats = error.astype(np.float32)
    return found


def _added(layer: Linear, wiring: Wiring) -> str:
    """Returns the bias that an `Add` behind a `MatMul` adds, if nobody else reads it."""
    add = wiring.taker(layer.node.output[0], "Add") if layer.node.op_type == "MatMul" else None
    if add is None:
        return ""
    other = next((name for name in add.input if name != layer.node.output[0]), "")
    return other if other in _vectors(wiring.model, int(layer.weight.dims[layer.outputs])) else ""


def _vectors(model: ModelProto, size: int) -> set[str]:
    reads = Counter(name for node in model.graph.node for name in node.input)
    return {t.name for t in model.graph.initializer if list(t.dims) == [size] and reads[t.name] == 1}


def _given(layer: Linear, model: ModelProto, sources: Sources, names: Names) -> str:
    import numpy as np
    import onnx

    name = names.free(f"{layer.weight.name}_bias")
    zeros = np.zeros(int(layer.weight.dims[layer.outputs]), np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(zeros, name))
    del layer.node.input[2:]
    layer.node.input.append(name)
    sources.add(model.graph.initializer[-1])
    return name
