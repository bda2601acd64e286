"""The pass `dynamic_quant`: 8-bit weights now, activations quantized as the model runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.carry import deliver
from olivelike.contracts.passes import Pass, PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.onnxfile.read import read_structure
from olivelike_passes.header import restore_header
from olivelike_passes.naming import matching
from olivelike_passes.prepare import prepared
from olivelike_passes.quantization.quantizable import (
    DYNAMIC_TYPES,
    common_reasons,
    nothing_reason,
    opset_reason,
    untouchable,
    weighted_nodes,
)
from olivelike_passes.quantization.tool import Scheme, quantize_dynamically
from olivelike_passes.weights import refuse_unless_finite

NEEDED_OPSET = 11  # DynamicQuantizeLinear


class DynamicQuantConfig(PassConfig):
    """How `dynamic_quant` quantizes."""

    weight_type: Literal["int8", "uint8"] = "int8"
    """Element type of the quantized weights; `int8` is symmetric around zero, `uint8` is not."""
    per_channel: bool = False
    """One scale for each output channel of a weight instead of one for all: more accurate, about as fast."""
    reduce_range: bool = False
    """Weights in 7 bits, which keeps CPUs without VNNI from saturating."""
    op_types: tuple[str, ...] = DYNAMIC_TYPES
    """Operator types to quantize."""
    exclude_nodes: tuple[str, ...] = ()
    """Names of nodes that stay as they are; `*` and `?` match as in file names (`*down_proj*`)."""


class DynamicQuant(Pass[DynamicQuantConfig]):
    """Quantizes weights to 8 bits; activations are quantized as the model runs, so that no calibration data are needed.

    What it does:
        Replaces `MatMul`, `Gemm`, `Conv`, `LSTM`, `Gather` and attention with constant weights by the runtime's integer
        operators, with ONNX Runtime's dynamic quantizer. `Gemm` becomes an integer `MatMul` and an `Add`.

    When to use it:
        For transformers and recurrent networks on the CPU: a quarter of the size, and mostly faster.

    Limits:
        Convolutions usually become much slower (`op_types: [MatMul, Gemm]` leaves them alone). Weights that stand behind
        another operator, such as a tied embedding behind `Transpose`, stay in float32, and so does what lies inside a
        branch or loop. Needs opset 11.

    Example:
        ```yaml
        passes:
          - dynamic_quant: {per_channel: [true, false], exclude_nodes: ["*down_proj*"]}
        ```
    """

    name = "dynamic_quant"
    config = DynamicQuantConfig
    tools = ("onnx", "onnxruntime")

    def refuses(self, source: Artifact, config: DynamicQuantConfig, target: Target) -> Sequence[str]:
        """Refuses quantized and half-precision models, opsets below 11, unknown names, and models without fit weights."""
        model = read_structure(source.model)
        return [
            *common_reasons(model, config.op_types, DYNAMIC_TYPES, config.exclude_nodes),
            *opset_reason(model, NEEDED_OPSET, "dynamic quantization"),
            *nothing_reason(model, config.op_types, weighted_nodes(model, config.op_types)),
        ]

    def run(self, source: Artifact, out: Path, config: DynamicQuantConfig, context: PassContext) -> Manifest:
        """Quantizes the model.

        Raises:
            RefusedError: OL301, a weight is not finite; the quantizer found nothing, or cannot handle the model.
        """
        model = prepared(source, context.scratch)
        refuse_unless_finite(model)
        exclude = [*matching(model, config.exclude_nodes), *untouchable(model)]
        matmul_only = [
            node.name for node in model.graph.node if node.op_type == "MatMul" and "MatMul" not in config.op_types
        ]
        gemm_only = [node.name for node in model.graph.node if node.op_type == "Gemm" and "Gemm" not in config.op_types]
        # The quantizer turns a Gemm into nodes with these names before it looks at types.
        exclude += [*matmul_only, *(f"{name}_MatMul" for name in (*gemm_only, *exclude))]
        types = set(config.op_types) | ({"MatMul"} if "Gemm" in config.op_types else set())
        scheme = Scheme(
            config.weight_type, config.per_channel, config.reduce_range, sorted(types), sorted(set(exclude))
        )
        quantized = quantize_dynamically(model, scheme)
        restore_header(quantized, read_structure(source.model))
        return deliver(source, out, quantized)
