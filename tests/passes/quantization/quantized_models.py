"""Models quantized by the runtime's own quantizers, in every style that `dequantize` is to take back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

from olivelike.onnxfile.read import signature
from olivelike.testing import models
from olivelike.testing.building import float_tensor, float_value, model_of, node_of, value_of, weight_of
from olivelike_passes.runtime import quiet

if TYPE_CHECKING:
    from onnx import ModelProto

    from olivelike.contracts.data import Array


class _Draws(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, model: Path) -> None:
        draw = np.random.default_rng(0)
        shapes = {v.name: [d if isinstance(d, int) else 4 for d in v.shape] for v in signature(model).inputs}
        self._left = [
            {name: draw.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()} for _ in range(8)
        ]

    def get_next(self) -> dict[str, Array] | None:
        """Returns the next batch."""
        return self._left.pop() if self._left else None


def static(
    build: Callable[[], ModelProto], format: QuantFormat, *, per_channel: bool = False, bits: int = 8
) -> ModelProto:
    """Returns a model quantized with ranges from normal values."""

    def quantize(source: Path, to: Path) -> None:
        activations = QuantType.QUInt16 if bits == 16 else QuantType.QUInt8
        options = {"quant_format": format, "per_channel": per_channel, "activation_type": activations}
        quantize_static(source, to, _Draws(source), weight_type=QuantType.QInt8, **options)

    return _quantized(build, quantize)


def dynamic(build: Callable[[], ModelProto], **options: object) -> ModelProto:
    """Returns a model with 8-bit weights whose activations are quantized as it runs."""
    return _quantized(build, lambda source, to: quantize_dynamic(source, to, **options))


def nbits(build: Callable[[], ModelProto], *, symmetric: bool = True, qdq: bool = False, bits: int = 4) -> ModelProto:
    """Returns a model whose products have weights of some bits in blocks of 16."""
    form = QuantFormat.QDQ if qdq else QuantFormat.QOperator
    config = DefaultWeightOnlyQuantConfig(block_size=16, is_symmetric=symmetric, quant_format=form, bits=bits)
    with quiet():
        quantizer = MatMulNBitsQuantizer(build(), algo_config=config)
        quantizer.process()
    made: ModelProto = quantizer.model.model
    return made


def embedding() -> ModelProto:
    """A table of 20 rows of 32 in 4 bits, of which rows are looked up: `ids` int64 [3] to `y` float32 [3, 32]."""
    draw = np.random.default_rng(0)
    weights = [
        onnx.numpy_helper.from_array(draw.integers(0, 256, (20, 16), np.uint8), "table"),
        onnx.numpy_helper.from_array(draw.random((20, 2), np.float32), "scales"),
        onnx.numpy_helper.from_array(draw.integers(0, 256, (20, 1), np.uint8), "zeros"),
    ]
    inputs = ["table", "ids", "scales", "zeros"]
    form = {"bits": 4, "block_size": 16, "gather_axis": 0, "quantize_axis": 1}
    node = node_of("GatherBlockQuantized", inputs, ["y"], domain="com.microsoft", **form)
    model = model_of([node], [value_of("ids", "INT64", 3)], [float_value("y", 3, 32)], weights)
    model.opset_import.add(domain="com.microsoft", version=1)
    return model


def recurrent() -> ModelProto:
    """`x` float32 [5, 1, 8] through an `LSTM` to `y` float32 [5, 1, 1, 16]."""
    weights = [weight_of("w", 1, 64, 8), weight_of("r", 1, 64, 16), weight_of("b", 1, 128)]
    node = node_of("LSTM", ["x", "w", "r", "b"], ["y"], hidden_size=16)
    return model_of([node], [float_value("x", 5, 1, 8)], [float_value("y", 5, 1, 1, 16)], weights)


def rounded_weight() -> ModelProto:
    """A float weight that is quantized and taken back as the model runs: `x` float32 [2, 4] to `y` float32 [2, 3]."""
    nodes = [
        node_of("QuantizeLinear", ["w", "s", "z"], ["q"]),
        node_of("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node_of("MatMul", ["x", "d"], ["y"]),
    ]
    zero = onnx.numpy_helper.from_array(np.array(0, np.int8), "z")
    weights = [weight_of("w", 4, 3), float_tensor("s", 0.05), zero]
    return model_of(nodes, [float_value("x", 2, 4)], [float_value("y", 2, 3)], weights)


def bnb4() -> ModelProto:
    """Returns a product with a weight in a table of 16 floats."""
    packed = onnx.numpy_helper.from_array(np.zeros(128, np.uint8), "b")
    form = {"K": 16, "N": 16, "block_size": 16, "quant_type": 1}
    node = node_of("MatMulBnb4", ["x", "b", "m"], ["y"], domain="com.microsoft", **form)
    weights = [packed, float_tensor("m", [1.0] * 16)]
    model = model_of([node], [float_value("x", 2, 16)], [float_value("y", 2, 16)], weights)
    model.opset_import.add(domain="com.microsoft", version=1)
    return model


def _quantized(build: Callable[[], ModelProto], quantize: Callable[[Path, Path], None]) -> ModelProto:
    with TemporaryDirectory() as folder, quiet():
        source = models.save(build(), Path(folder) / "source")
        quantize(source, Path(folder) / "made.onnx")
        return onnx.load(Path(folder) / "made.onnx")
