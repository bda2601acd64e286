"""Which styles of quantization a model holds, with bits and block sizes, and how that is told in a reason."""

from __future__ import annotations

import numpy as np
import onnx

from olivelike.onnxfile.quantization import Style, quantization_of, told
from olivelike.testing import models
from olivelike.testing.building import float_tensor, float_value, model_of, node_of, weight_of


def test_float_model_has_none() -> None:
    assert quantization_of(models.mlp()) == ()


def test_pairs_and_packed_weights_beside_each_other_are_both_found() -> None:
    packed = onnx.numpy_helper.from_array(np.zeros((16, 1, 8), np.uint8), "b")
    form = {"K": 16, "N": 16, "bits": 4, "block_size": 16}
    nodes = [
        node_of("QuantizeLinear", ["x", "scale"], ["q"]),
        node_of("DequantizeLinear", ["q", "scale"], ["d"]),
        node_of("MatMulNBits", ["d", "b", "scales"], ["y"], domain="com.microsoft", **form),
    ]
    weights = [packed, float_tensor("scale", 0.1), weight_of("scales", 16)]
    model = model_of(nodes, [float_value("x", 2, 16)], [float_value("y", 2, 16)], weights)
    assert told(quantization_of(model)) == "qdq; weight_only, 4 bits in blocks of 16"


def test_half_precision_is_a_style_without_operators() -> None:
    [found] = quantization_of(models.half())
    assert (found.style, dict(found.operators), found.weight_bits) == (Style.FLOAT16, {}, (16,))
