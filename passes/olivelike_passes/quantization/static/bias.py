"""Bias correction: what rounding a weight adds to the mean of a layer's output is taken off its bias.

Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", arXiv 1906.04721, section 4.2, with
means that were seen instead of means inferred from a batch norm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from olivelike_passes.graph.wiring import Wiring
from olivelike_passes.quantization.coded import Names
from olivelike_passes.quantization.static.linear import Linear, linear_layers, own_tensors
from olivelike_passes.quantization.static.sources import Seen, Sources
from olivelike_passes.quantization.static.weights import Weight, lost
from olivelike_passes.quantization.tool import Scheme

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, TensorProto

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
    own = own_tensors(model)
    names = Names(model)
    count = 0
    for layer in list(linear_layers(model)):
        weight = weights.get(layer.weight.name)
        if weight is None or not _is_quantized(layer, scheme) or not seen.has(layer.node.input[0]):
            continue
        bias = layer.bias or _added(layer, wiring, own)
        if not bias and layer.bare:
            bias = _given(layer, model, sources, names)
        if bias:
            error = _mean_error(layer, weight, seen.mean(layer.node.input[0]), scheme)
            sources.shift(bias, error)
            count += 1
    return count


def _is_quantized(layer: Linear, scheme: Scheme) -> bool:
    return layer.node.op_type in scheme.op_types and layer.node.name not in scheme.exclude


def _mean_error(layer: Linear, weight: Weight, mean: Floats, scheme: Scheme) -> Floats:
    import numpy as np

    error = np.zeros(int(layer.weight.dims[layer.outputs]))
    inputs = mean.astype(np.float64)
    for part, lines in lost(weight, scheme):
        if layer.outputs:  # a line for each input
            error += (lines * inputs[part, None]).sum(0)
        elif layer.depthwise:
            error[part] = lines.sum(1) * inputs[part]
        else:
            error[part] = (lines.reshape(len(lines), inputs.size, -1).sum(2) * inputs).sum(1)
    found: Floats = error.astype(np.float32)
    return found


def _added(layer: Linear, wiring: Wiring, own: Mapping[str, TensorProto]) -> str:
    """Returns the bias that an `Add` behind a `MatMul` adds, if nobody else reads it."""
    add = wiring.taker(layer.node.output[0], "Add") if layer.node.op_type == "MatMul" else None
    if add is None:
        return ""
    other = next((name for name in add.input if name != layer.node.output[0]), "")
    return other if other in own and list(own[other].dims) == [layer.weight.dims[layer.outputs]] else ""


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
