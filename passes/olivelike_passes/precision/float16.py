"""The pass `float16`: weights and activations in half precision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.carry import deliver
from olivelike.contracts.passes import Pass, PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.onnxfile.read import read_structure
from olivelike.onnxfile.walk import tensors
from olivelike.onnxfile.wiring import put_in_order
from olivelike_passes.header import restore_header
from olivelike_passes.holds import has_half, quantized_operators
from olivelike_passes.naming import matching, unmatched
from olivelike_passes.prepare import prepared
from olivelike_passes.runtime import quiet
from olivelike_passes.weights import WEIGHTS_ARE_INPUTS, float_constants, replaceable_weights

if TYPE_CHECKING:
    pass


class Float16Config(PassConfig):
    """What `float16` leaves in float32."""

    keep_io_types: bool = True
    """Leave inputs and outputs in float32, so that callers need not change."""
    op_block_list: tuple[str, ...] = ()
    """Operator types that stay in float32, beside those that always do because half precision is not defined for them."""
    node_block_list: tuple[str, ...] = ()
    """Names of nodes that stay in float32; `*` and `?` match as in file names."""


class Float16(Pass[Float16Config]):
    """Converts a float32 model to half precision.

    What it does:
        Turns float32 weights and activations into float16, with casts around what stays in float32. Weights beyond the
        range of float16 are clipped to it.

    When to use it:
        For GPUs and NPUs that compute in half precision, or to halve a file.

    Limits:
        A CPU computes most operators in float32 all the same and casts on the way: smaller, but seldom faster there.
        Activations beyond 65504 overflow: name such nodes in `node_block_list`.

    Example:
        ```yaml
        passes:
          - float16: {op_block_list: [Softmax]}
        ```
    """

    name = "float16"
    config = Float16Config
    tools = ("onnx", "onnxruntime")

    def refuses(self, source: Artifact, config: Float16Config, target: Target) -> Sequence[str]:
        """Refuses models that are half precision or quantized already, or hold no float32 weight, and unknown nodes."""
        from onnx import TensorProto

        model = read_structure(source.model)
        reasons = []
        if has_half(model):
            reasons.append("the model is in half precision already")
        elif not any(tensor.data_type == TensorProto.FLOAT for tensor in tensors(model)):
            reasons.append("the model holds no float32 weight")
        elif replaceable_weights(model) and not float_constants(model) - replaceable_weights(model):
            reasons.append(WEIGHTS_ARE_INPUTS)
        quantized = quantized_operators(model)
        if quantized:
            reasons.append(f"the model is quantized already ({', '.join(quantized)})")
        missing = unmatched(model, config.node_block_list)
        return [*reasons, *(f"node_block_list has {pattern!r}, which matches no node" for pattern in missing)]

    def run(self, source: Artifact, out: Path, config: Float16Config, context: PassContext) -> Manifest:
        """Converts the model."""
        from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

        model = prepared(source, context.scratch)
        with quiet():
            converted = convert_float_to_float16(
                model,
                keep_io_types=config.keep_io_types,
                disable_shape_infer=True,
                op_block_list=sorted({*DEFAULT_OP_BLOCK_LIST, *config.op_block_list}),
                node_block_list=matching(model, config.node_block_list),
            )
        put_in_order(converted)  # the tool appends its casts at the end
        restore_header(converted, read_structure(source.model))
        return deliver(source, out, converted)
