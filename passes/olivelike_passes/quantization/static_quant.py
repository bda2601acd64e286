"""The pass `static_quant`: weights and activations in 8 (or 16) bits, by ranges taken from calibration data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.carry import deliver
from olivelike.contracts.data import DataName
from olivelike.contracts.passes import Auxiliary, Pass, PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.onnxfile.read import read_structure
from olivelike_passes.header import restore_header
from olivelike_passes.naming import matching
from olivelike_passes.prepare import prepared
from olivelike_passes.quantization.calibrate import Calibrate, CalibrateConfig, read_ranges
from olivelike_passes.quantization.quantizable import (
    STATIC_TYPES,
    common_reasons,
    computing_nodes,
    nothing_reason,
    opset_reason,
    untouchable,
)
from olivelike_passes.quantization.ranges import Method
from olivelike_passes.quantization.tool import Activations, Scheme, quantize_statically
from olivelike_passes.weights import refuse_unless_finite

QUANTIZE_LINEAR = 10
PER_AXIS = 13


class StaticQuantConfig(PassConfig):
    """How `static_quant` quantizes."""

    data: DataName
    """The data entry to calibrate on; a few hundred samples like those the model will see."""
    format: Literal["qdq", "qoperator"] = "qdq"
    """`qdq` puts pairs of quantize and dequantize nodes around operators, which every provider reads; `qoperator` writes
    the CPU's integer operators themselves."""
    activation_type: Literal["uint8", "int8", "uint16", "int16"] = "uint8"
    """Element type of activations; 16 bits need the format `qdq`."""
    weight_type: Literal["int8", "uint8"] = "int8"
    """Element type of weights; `int8` is symmetric around zero, `uint8` is not."""
    symmetric_activations: bool = False
    """Put zero in the middle of the range of activations, as some accelerators ask for."""
    per_channel: bool = False
    """One scale for each output channel of a weight instead of one for all: more accurate."""
    reduce_range: bool = False
    """Weights in 7 bits, which keeps CPUs without VNNI from saturating."""
    calibration: Method = "minmax"
    """How ranges follow from data: `minmax` takes the extremes, `moving_average` the mean of the batches' extremes; `entropy`
    and `percentile` cut outliers off, and `mse` does where that costs less than a coarser grid would."""
    calibration_samples: int = Field(0, ge=0)
    """How many samples to calibrate on; 0 uses all of the entry."""
    percentile: float = Field(99.999, gt=50, le=100)
    """For the calibration `percentile` only: the share of values, in percent, whose magnitude is inside the range."""
    op_types: tuple[str, ...] = STATIC_TYPES
    """Operator types to quantize."""
    exclude_nodes: tuple[str, ...] = ()
    """Names of nodes that stay as they are; `*` and `?` match as in file names."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_has_no_effect(cls, value: object) -> object:
        """Other calibrations take no percentile: equal models have equal configurations, so that none is tried twice."""
        if isinstance(value, Mapping) and value.get("calibration", "minmax") != "percentile":
            return {name: item for name, item in value.items() if name != "percentile"}
        return value

    @model_validator(mode="after")
    def _types_go_together(self) -> StaticQuantConfig:
        if self.activation_type == "int8" and self.weight_type == "uint8":
            raise ValueError("the runtime has no kernels for int8 activations with uint8 weights")
        if self.activation_type in ("uint16", "int16") and self.format == "qoperator":
            raise ValueError("16-bit activations exist in the format qdq only")
        return self


class StaticQuant(Pass[StaticQuantConfig]):
    """Quantizes weights and activations to integers with scales that are fixed beforehand, by calibration.

    What it does:
        Takes the range of every activation from calibration data (`calibrate`, shared by all variants on the same model) and
        quantizes with ONNX Runtime's static quantizers.

    When to use it:
        For convolutional networks on CPUs with VNNI and on accelerators: the fastest of the 8-bit forms, a quarter of the
        size.

    Limits:
        Needs data like those that the model will see. Per-channel QDQ needs opset 13. What lies inside a branch or a loop
        stays in float32. 16-bit activations below opset 21 use operators of the domain `com.microsoft`.

    Example:
        ```yaml
        passes:
          - simplify: {}
          - static_quant: {format: [qdq, qoperator], per_channel: true, calibration: [minmax, entropy], data: calibration}
        ```
    """

    name = "static_quant"
    config = StaticQuantConfig
    tools = ("onnx", "onnxruntime")

    def needs(self, config: StaticQuantConfig) -> Mapping[str, Auxiliary]:
        """Asks for the calibration; format and granularity are no part of it, types only for `mse`, so that variants share it."""
        settings = CalibrateConfig(
            data=config.data,
            method=config.calibration,
            samples=config.calibration_samples,
            percentile=config.percentile,
            bits=16 if config.activation_type in ("uint16", "int16") else 8,
            symmetric=config.symmetric_activations,
        )
        return {"ranges": Auxiliary(Calibrate.name, settings.model_dump(mode="json"))}

    def refuses(self, source: Artifact, config: StaticQuantConfig, target: Target) -> Sequence[str]:
        """Refuses quantized and half-precision models, opsets too old, unknown names."""
        model = read_structure(source.model)
        return [
            *common_reasons(model, config.op_types, STATIC_TYPES, config.exclude_nodes),
            *opset_reason(model, QUANTIZE_LINEAR, "static quantization"),
            *(
                opset_reason(model, PER_AXIS, "per-channel QDQ")
                if config.per_channel and config.format == "qdq"
                else ()
            ),
            *nothing_reason(model, config.op_types, computing_nodes(model, config.op_types)),
        ]

    def run(self, source: Artifact, out: Path, config: StaticQuantConfig, context: PassContext) -> Manifest:
        """Quantizes the model.

        Raises:
            RefusedError: OL301, a weight is not finite; the quantizer found nothing, or cannot handle the model.
        """
        model = prepared(source, context.scratch)
        refuse_unless_finite(model)
        exclude = sorted({*matching(model, config.exclude_nodes), *untouchable(model)})
        scheme = Scheme(config.weight_type, config.per_channel, config.reduce_range, sorted(config.op_types), exclude)
        ranges = read_ranges(context.needed["ranges"])
        activations = Activations(config.activation_type, config.symmetric_activations, ranges)
        quantized = quantize_statically(model, scheme, activations, config.format)
        restore_header(quantized, read_structure(source.model))
        return deliver(source, out, quantized)
