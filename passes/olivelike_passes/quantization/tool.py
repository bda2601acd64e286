"""The runtime's quantizers as functions: a prepared model in, the quantized model out, nothing written, nothing printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, assert_never

from olivelike.errors import RefusedError, fail
from olivelike_passes.holds import quantized_operators
from olivelike_passes.runtime import quiet

if TYPE_CHECKING:
    from onnx import ModelProto

MARK = "onnx.infer"
"""By this entry in a model's metadata the quantizers know that values have types; without it they infer once more."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """What every way of quantization has in common.

    Attributes:
        weight_type: element type of quantized weights.
        per_channel: one scale for each output channel instead of one for the tensor.
        reduce_range: weights in 7 bits, against saturation on CPUs without VNNI.
        op_types: operator types to quantize.
        exclude: names of nodes that stay as they are.
    """

    weight_type: Literal["int8", "uint8"]
    per_channel: bool
    reduce_range: bool
    op_types: Sequence[str]
    exclude: Sequence[str]


@dataclass(frozen=True, slots=True)
class Activations:
    """How a static quantizer treats activations: their type, whether zero lies in the middle, and their ranges."""

    type: Literal["uint8", "int8", "uint16", "int16"]
    symmetric: bool
    ranges: Mapping[str, tuple[float, float]]


def quantize_statically(
    model: ModelProto, scheme: Scheme, activations: Activations, format: Literal["qdq", "qoperator"]
) -> ModelProto:
    """Returns the model with weights and activations quantized by scales fixed beforehand.

    Raises:
        RefusedError: OL301, the quantizer found nothing to quantize, or cannot handle the model.
    """
    from onnxruntime.quantization.onnx_quantizer import ONNXQuantizer
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.quant_utils import QuantizationMode

    kinds = _quant_type(scheme.weight_type), _quant_type(activations.type)
    names: tuple[list[str], ...] = ([], list(scheme.exclude), list(scheme.op_types))
    options = {"ActivationSymmetric": activations.symmetric}
    ranges = _tensors_data(activations.ranges)
    with quiet():
        _mark(model)
        match format:
            case "qdq":
                quantizer = QDQQuantizer(
                    model, scheme.per_channel, scheme.reduce_range, *kinds, ranges, *names, options
                )
            case "qoperator":
                mode = QuantizationMode.QLinearOps
                quantizer = ONNXQuantizer(
                    model, scheme.per_channel, scheme.reduce_range, mode, True, *kinds, ranges, *names, options
                )
            case _:
                assert_never(format)
        return _finish(quantizer)


class _Wrapped(Protocol):
    model: ModelProto

    def topological_sort(self) -> None: ...


class _Quantizer(Protocol):
    model: _Wrapped

    def quantize_model(self) -> ModelProto: ...


def _finish(quantizer: _Quantizer) -> ModelProto:
    try:
        quantizer.quantize_model()
    except (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        claim = f"the runtime's quantizer cannot handle this model: {type(error).__name__}: {error}"
        raise fail(RefusedError, "OL301", claim) from error
    quantizer.model.topological_sort()
    model = quantizer.model.model
    if not quantized_operators(model):
        raise fail(RefusedError, "OL301", "the quantizer found nothing that it could quantize in this model")
    return model


def _mark(model: ModelProto) -> None:
    model.metadata_props.add(key=MARK, value="onnxruntime.quant")


def _quant_type(name: str) -> object:
    from onnxruntime.quantization.quant_utils import QuantType

    return {"int8": QuantType.QInt8, "uint8": QuantType.QUInt8, "int16": QuantType.QInt16, "uint16": QuantType.QUInt16}[
        name
    ]


def _tensors_data(ranges: Mapping[str, tuple[float, float]]) -> object:
    import numpy as np
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData

    entries = {
        name: TensorData(lowest=np.float32(low), highest=np.float32(high)) for name, (low, high) in ranges.items()
    }
    return TensorsData(CalibrationMethod.MinMax, entries)
