"""The runtime's quantizers as functions: a prepared model in, the quantized model out, nothing written, nothing printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, assert_never

from olivelike.errors import RefusedError, fail
from olivelike_passes.holds import quantized_operators
from olivelike_passes.quantization.integers import Grid
from olivelike_passes.runtime import quiet

if TYPE_CHECKING:
    from onnx import ModelProto

    from olivelike_passes.quantization.integers import Floats

MARK = "onnx.infer"
"""By this entry in a model's metadata the quantizers know that values have types; without it they infer once more."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """What every way of quantization has in common.

    Attributes:
        weight_type: element type of quantized weights.
        symmetric: whether zero lies in the middle of the codes of a weight.
        per_channel: one scale for each output channel instead of one for the tensor.
        reduce_range: weights in 7 bits, against saturation on CPUs without VNNI.
        op_types: operator types to quantize.
        exclude: names of nodes that stay as they are.
    """

    weight_type: Literal["int8", "uint8", "int4", "uint4"]
    symmetric: bool
    per_channel: bool
    reduce_range: bool
    op_types: Sequence[str]
    exclude: Sequence[str]

    @property
    def is_symmetric(self) -> bool:
        """Whether weights are: as it was asked for, and with scales per channel always, for these share one zero point."""
        return self.symmetric or self.per_channel


@dataclass(frozen=True, slots=True)
class Activations:
    """How a static quantizer treats activations: their type, whether zero lies in the middle, and their ranges."""

    type: Literal["uint8", "int8", "uint16", "int16"]
    symmetric: bool
    ranges: dict[str, tuple[float, float]]


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
    options = {"ActivationSymmetric": activations.symmetric, "WeightSymmetric": scheme.is_symmetric}
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


def weight_grid(low: Floats, high: Floats, scheme: Scheme) -> Grid:
    """Returns the grid that the quantizers take for a weight, or for each of its channels, by their own formula.

    Args:
        low: the lowest values, float32 `[1]` or `[channels]`.
        high: the highest.
        scheme: the type, and how codes lie in it.
    """
    import numpy as np
    from onnxruntime.quantization.quant_utils import compute_scale_zp, get_qmin_qmax_for_qType

    kind = getattr(_quant_type(scheme.weight_type), "tensor_type")  # noqa: B009  # an enum without types
    least, most = get_qmin_qmax_for_qType(kind, reduce_range=scheme.reduce_range, symmetric=scheme.is_symmetric)
    pairs = [
        compute_scale_zp(*ends, least, most, symmetric=scheme.is_symmetric) for ends in zip(low, high, strict=True)
    ]
    zeros = np.array([int(zero) for zero, _ in pairs])
    container = "uint8" if scheme.weight_type.startswith("u") else "int8"
    return Grid(np.array([scale for _, scale in pairs], np.float32), zeros.astype(container))


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
    """Returns the tool's name of a type: `QUInt8` for `uint8`."""
    from onnxruntime.quantization.quant_utils import QuantType

    signed = not name.startswith("u")
    return getattr(QuantType, f"QInt{name[3:]}" if signed else f"QUInt{name[4:]}")


def _tensors_data(ranges: Mapping[str, tuple[float, float]]) -> object:
    import numpy as np
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData

    entries = {
        name: TensorData(lowest=np.float32(low), highest=np.float32(high)) for name, (low, high) in ranges.items()
    }
    return TensorsData(CalibrationMethod.MinMax, entries)
