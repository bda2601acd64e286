"""The pass `static_quant`: weights and activations in 8 (or 16) bits, by ranges taken from calibration data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import DataName
from olivelike.contracts.passes import Auxiliary, PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.header import unite_imports
from olivelike_passes.holds import has_sparse
from olivelike_passes.naming import name_nodes
from olivelike_passes.quantization.activation_statistics import (
    ActivationStatistics,
    StatisticsConfig,
    read_statistics,
)
from olivelike_passes.quantization.calibrate import Calibrate, CalibrateConfig, read_ranges
from olivelike_passes.quantization.chosen import Chosen, kept_of, sensitivity_needed
from olivelike_passes.quantization.quantizable import (
    STATIC_TYPES,
    USUAL_OPSET,
    common_reasons,
    computing_nodes,
    nothing_reason,
    untouchable,
)
from olivelike_passes.quantization.raised import raised
from olivelike_passes.quantization.ranges import Method
from olivelike_passes.quantization.static.insertion import Job, inserted
from olivelike_passes.quantization.static.known_ranges import completed
from olivelike_passes.quantization.static.refine import Refinements, refined
from olivelike_passes.quantization.static.sources import Seen, Sources
from olivelike_passes.quantization.tool import Activations, Scheme
from olivelike_passes.weights import free_weights, lift_constants

if TYPE_CHECKING:
    from onnx import ModelProto

QUANTIZE_LINEAR = 10
PER_AXIS = 13
MORE_TYPES = 21
"""The opset whose DequantizeLinear takes 4 bits."""


class StaticQuantConfig(PassConfig):
    """How `static_quant` quantizes."""

    data: DataName
    """The data entry to calibrate on; a few hundred samples like those the model will see."""
    format: Literal["qdq", "qoperator"] = "qdq"
    """`qdq` puts pairs of quantize and dequantize nodes around operators, which every provider reads; `qoperator` writes
    the CPU's integer operators themselves."""
    activation_type: Literal["uint8", "int8", "uint16", "int16"] = "uint8"
    """Element type of activations; 16 bits need the format `qdq`."""
    weight_type: Literal["int8", "uint8", "int4", "uint4"] = "int8"
    """Element type of weights; 4 bits need the format `qdq`, and the CPU computes them in float32: smaller, not faster."""
    symmetric_weights: bool = True
    """Put zero in the middle of the range of weights; if not said, signed types do and unsigned ones do not. Scales per channel
    are symmetric always, in the format `qdq`."""
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
    bias_correction: bool = False
    """Take off each bias what rounding the weight adds to the mean output (Nagel et al. 2019, arXiv 1906.04721, 4.2)."""
    equalization: bool = False
    """Scale the channels between two layers so that both weights spread alike over them (Nagel et al. 2019, 4.1); helps
    weights with one scale for all channels."""
    smooth: float = Field(0.0, ge=0, lt=1)
    """How much of the outliers in activations moves into weights behind a norm (alpha of SmoothQuant, Xiao et al. 2022, arXiv
    2211.10438); 0 moves nothing, 0.5 is usual."""
    rounding: Literal["nearest", "adaptive"] = "nearest"
    """`adaptive` rounds weights of matrices up or down by what the layer's output loses (after AdaRound, Nagel et al. 2020,
    arXiv 2004.10568); takes a while."""
    op_types: tuple[str, ...] = STATIC_TYPES
    """Operator types to quantize."""
    nodes: tuple[str, ...] = ()
    """Names of the nodes to quantize, if not all; `*` and `?` match as in file names."""
    exclude_nodes: tuple[str, ...] = ()
    """Names of nodes that stay as they are; `*` and `?` match as in file names."""
    most_sensitive_kept: int = Field(0, ge=0)
    """How many layers stay in float32: those whose output loses most in 8 bits, by `sensitivity`."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_has_no_effect(cls, value: object) -> object:
        """Other calibrations take no percentile: equal models have equal configurations, so that none is tried twice."""
        if not isinstance(value, Mapping):
            return value
        by_type = {} if value.get("weight_type", "int8") in ("int8", "int4") else {"symmetric_weights": False}
        idle = {"percentile"} if value.get("calibration", "minmax") != "percentile" else set()
        return by_type | {name: item for name, item in value.items() if name not in idle}

    @model_validator(mode="after")
    def _types_go_together(self) -> StaticQuantConfig:
        if self.activation_type == "int8" and self.weight_type == "uint8":
            raise ValueError("the runtime has no kernels for int8 activations with uint8 weights")
        if self.activation_type in ("uint16", "int16") and self.format == "qoperator":
            raise ValueError("16-bit activations exist in the format qdq only")
        if self.weight_type in ("int4", "uint4") and self.format == "qoperator":
            raise ValueError("4-bit weights exist in the format qdq only")
        return self


class StaticQuant(GraphPass[StaticQuantConfig]):
    """Quantizes weights and activations to integers with scales that are fixed beforehand, by calibration.

    What it does:
        Takes the range of every activation from calibration data (`calibrate`, shared by all variants on the same model). Where
        nodes go, ONNX Runtime's static quantizers decide; they see the extremes of large weights, not the weights, which are
        read and written one at a time. An opset that is too old is raised: to 17, or to 21 for 4 bits.

    When to use it:
        For convolutional networks on CPUs with VNNI and on accelerators: the fastest of the 8-bit forms, a quarter of the
        size.

    Limits:
        Needs data like those that the model will see. What lies inside a branch or a loop stays in float32, and so do recurrent
        layers and ONNX's own `Attention`. 16-bit activations below opset 21 use operators of the domain `com.microsoft`.
        ONNX Runtime computes a `MatMul` of 16-bit activations in blocks of 8 bits unless the session's entry
        `session.qdq_matmulnbits_accuracy_level` is 0. Large weights are held in memory, all of them together, where something
        else than products, convolutions and look-ups takes them (a recurrent layer, a sum), where they have three axes in a
        `MatMul`, or where one is taken along two axes (a table that is looked up and multiplied by as it is).

    Example:
        ```yaml
        passes:
          - simplify: {}
          - static_quant: {format: [qdq, qoperator], per_channel: true, calibration: [minmax, entropy], data: calibration}
        ```
    """

    name = "static_quant"
    config = StaticQuantConfig
    tools = ("numpy", "onnx", "onnxruntime")

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
        wanted = {"ranges": Auxiliary(Calibrate.name, settings.model_dump(mode="json"))}
        if _refinements(config).wanted:
            statistics = StatisticsConfig(
                data=config.data, samples=config.calibration_samples, gram=config.rounding == "adaptive"
            )
            wanted["statistics"] = Auxiliary(ActivationStatistics.name, statistics.model_dump(mode="json"))
        wanted |= sensitivity_needed(config.most_sensitive_kept, config.data, config.calibration_samples)
        return wanted

    def unsuitable(self, model: ModelProto, config: StaticQuantConfig, target: Target) -> Sequence[str]:
        """Refuses quantized and half-precision models, unknown names, and models without anything to quantize."""
        return [
            *common_reasons(model, config.op_types, STATIC_TYPES, ()),
            *_no_calibration(model),
            *_chosen(config).reasons(model),
            *nothing_reason(model, config.op_types, computing_nodes(model, config.op_types)),
        ]

    def rewrite(
        self, model: ModelProto, source: Artifact, config: StaticQuantConfig, context: PassContext
    ) -> Rewritten:
        """Quantizes the model.

        Raises:
            RefusedError: OL301, a weight is not finite; the quantizer found nothing, or cannot handle the model.
        """
        model = _raised(model, source, config, context)
        free_weights(model)
        lift_constants(model)
        name_nodes(model)
        unite_imports(model)
        kept = _kept(model, config, context)
        job = _job(model, config, context, kept)
        sources = Sources(model, source.model)
        wanted = _refinements(config)
        statistics = context.needed.get("statistics")
        seen = None if statistics is None else Seen(read_statistics(statistics), job.activations.ranges)
        weights, done = refined(model, sources, seen, wanted, job.scheme)
        quantized, made = inserted(model, source, sources, weights, job, context)
        if kept:
            done["kept"] = list(kept)
        return Rewritten(quantized, done or None, made)


def _no_calibration(model: ModelProto) -> Iterator[str]:
    """Yields why a model cannot be run for its ranges."""
    if has_sparse(model):
        yield "the model holds sparse tensors, and the runtime computes no values of such a model for calibration"
    held = {tensor.name for tensor in model.graph.initializer}
    kinds = [entry.type.tensor_type for entry in model.graph.input if entry.name not in held]
    if kinds and all(kind.HasField("shape") and not kind.shape.dim for kind in kinds):
        yield "no input of the model has an axis of samples to calibrate along"


def _refinements(config: StaticQuantConfig) -> Refinements:
    return Refinements(config.smooth, config.equalization, config.bias_correction, config.rounding)


def _chosen(config: StaticQuantConfig) -> Chosen:
    return Chosen(config.op_types, config.nodes, config.exclude_nodes)


def _raised(model: ModelProto, source: Artifact, config: StaticQuantConfig, context: PassContext) -> ModelProto:
    """Raises the opset to what the types and the granularity ask for."""
    if config.weight_type in ("int4", "uint4"):
        return raised(model, MORE_TYPES, MORE_TYPES, source, context)
    # 16 bits need no more: the runtime has operators of its own, and a model of the source's opset can be compared with it.
    needed = PER_AXIS if config.per_channel and config.format == "qdq" else QUANTIZE_LINEAR
    return raised(model, needed, USUAL_OPSET, source, context)


def _kept(model: ModelProto, config: StaticQuantConfig, context: PassContext) -> Sequence[str]:
    """Returns the layers that lose most, of those that would be quantized."""
    chosen, alone = _chosen(config), frozenset(untouchable(model))
    nodes = [node for node in model.graph.node if chosen.has(node) and node.name not in alone]
    return kept_of(context.needed, config.most_sensitive_kept, nodes, per_channel=config.per_channel)


def _job(model: ModelProto, config: StaticQuantConfig, context: PassContext, kept: Sequence[str]) -> Job:
    chosen = replace(_chosen(config), kept=kept)
    left = {node.name for node in model.graph.node if node.op_type in config.op_types and not chosen.has(node)}
    scheme = Scheme(
        config.weight_type,
        config.symmetric_weights,
        config.per_channel,
        config.reduce_range,
        sorted(config.op_types),
        sorted(left.union(untouchable(model))),
    )
    ranges = completed(read_ranges(context.needed["ranges"]), model)
    activations = Activations(config.activation_type, config.symmetric_activations, ranges)
    return Job(scheme, activations, config.format)
