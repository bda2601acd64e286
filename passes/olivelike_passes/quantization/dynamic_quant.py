"""The pass `dynamic_quant`: 8-bit weights now, activations quantized as the model runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import DataName
from olivelike.contracts.passes import Auxiliary, PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.digest import Json
from olivelike.errors import RefusedError, fail
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.header import unite_imports
from olivelike_passes.naming import name_nodes
from olivelike_passes.quantization.chosen import Chosen, kept_of, sensitivity_needed
from olivelike_passes.quantization.coded import IntegerWeights
from olivelike_passes.quantization.dynamic.found import Found, Left, found_in
from olivelike_passes.quantization.dynamic.rewrite import Scheme, rewrite
from olivelike_passes.quantization.integers import Integers
from olivelike_passes.quantization.quantizable import DYNAMIC_TYPES, USUAL_OPSET, common_reasons, nothing_reason
from olivelike_passes.quantization.raised import raised
from olivelike_passes.weights import free_weights, lift_constants

if TYPE_CHECKING:
    from onnx import ModelProto

NEEDED_OPSET = 11  # DynamicQuantizeLinear


class DynamicQuantConfig(PassConfig):
    """How `dynamic_quant` quantizes."""

    weight_type: Literal["int8", "uint8"] = "int8"
    """Element type of the quantized weights."""
    symmetric: bool = True
    """Whether the codes of a weight reach as far below zero as above it; if not said, `int8` is symmetric and `uint8` is
    not."""
    per_channel: bool = False
    """One scale for each output channel of a weight instead of one for all: more accurate, about as fast. Looked-up rows of
    an embedding have one each."""
    reduce_range: bool = False
    """Weights in 7 bits, which keeps CPUs without VNNI from saturating."""
    allow_conv: bool = False
    """Quantize convolutions too; they become 3 to 11 times slower on the CPU."""
    op_types: tuple[str, ...] = DYNAMIC_TYPES
    """Operator types to quantize; `Transpose` stands for weights of a `MatMul` behind one, such as a tied embedding."""
    nodes: tuple[str, ...] = ()
    """Names of the nodes to quantize, if not all; `*` and `?` match as in file names."""
    exclude_nodes: tuple[str, ...] = ()
    """Names of nodes that stay as they are; `*` and `?` match as in file names (`*down_proj*`)."""
    most_sensitive_kept: int = Field(0, ge=0)
    """How many layers stay in float32: those whose output loses most in 8 bits, by `sensitivity` on `data`."""
    data: DataName = ""
    """For `most_sensitive_kept` only: the data entry to judge by; without one, only the weights are looked at."""

    @model_validator(mode="before")
    @classmethod
    def _symmetric_by_type(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        by_type = {"symmetric": False} if value.get("weight_type") == "uint8" else {}
        idle = set() if value.get("most_sensitive_kept") else {"data"}
        return by_type | {name: item for name, item in value.items() if name not in idle}


class DynamicQuant(GraphPass[DynamicQuantConfig]):
    """Quantizes weights to 8 bits; activations are quantized as the model runs, so that no calibration data are needed.

    What it does:
        Lets `MatMul`, `Gemm`, `Gather`, `LSTM`, and the fused attention and embedding of the domain `com.microsoft`, compute
        on integers where their weights are constant: in `Constant` nodes, behind the `Transpose` of a tied embedding, and
        inside branches and loops too. An activation is quantized once for all that take it. Weights are read and written one
        at a time, so that memory holds the largest of them and not the model. An opset below 11 is raised to 17.

    When to use it:
        For transformers and recurrent networks on the CPU: a quarter of the size, and mostly faster.

    Limits:
        Convolutions stay in float32 unless `allow_conv` says otherwise, for they become much slower; use `static_quant` for
        them. `GRU` and `RNN` stay, for the runtime has no kernels, and ONNX's own `Attention` (opset 23), whose
        projections are taken. The notes name what was chosen and stayed. A convolution takes scales per channel only
        where the weights are symmetric.

    Example:
        ```yaml
        passes:
          - dynamic_quant: {per_channel: [true, false], exclude_nodes: ["*down_proj*"]}
        ```
    """

    name = "dynamic_quant"
    config = DynamicQuantConfig
    tools = ("numpy", "onnx")

    def needs(self, config: DynamicQuantConfig) -> Mapping[str, Auxiliary]:
        """Asks for the table of losses where layers are kept by it."""
        return sensitivity_needed(config.most_sensitive_kept, config.data)

    def unsuitable(self, model: ModelProto, config: DynamicQuantConfig, target: Target) -> Sequence[str]:
        """Refuses quantized and half-precision models, unknown names, and models without fit weights."""
        chosen = _chosen(config)
        reasons = [*common_reasons(model, config.op_types, DYNAMIC_TYPES, ()), *chosen.reasons(model)]
        _prepare(model)
        found, left = found_in(model, chosen, allow_conv=config.allow_conv)
        return [*reasons, *_nothing(model, config, found, left)]

    def rewrite(
        self, model: ModelProto, source: Artifact, config: DynamicQuantConfig, context: PassContext
    ) -> Rewritten:
        """Puts integer operators in the place of float ones; weights are quantized as they are written.

        Raises:
            RefusedError: OL301, a weight is not finite; there is no way to the opset that is needed.
        """
        model = raised(model, NEEDED_OPSET, USUAL_OPSET, source, context)
        _prepare(model)
        found, left = found_in(model, _chosen(config), allow_conv=config.allow_conv)
        taken = [each.node for each in found]
        kept = kept_of(context.needed, config.most_sensitive_kept, taken, per_channel=config.per_channel)
        if kept:
            found, left = found_in(model, replace(_chosen(config), kept=kept), allow_conv=config.allow_conv)
        if reasons := _nothing(model, config, found, left):
            raise fail(RefusedError, "OL301", "; ".join(reasons))
        integers = Integers(config.weight_type, config.symmetric, config.reduce_range)
        scheme = Scheme(IntegerWeights(model, source.model, integers), config.per_channel)
        notes = _notes(found, left) | ({"kept": list(kept)} if kept else {})
        rewrite(model, found, scheme)
        return Rewritten(model, notes, scheme.weights.made)


def _chosen(config: DynamicQuantConfig) -> Chosen:
    return Chosen(config.op_types, config.nodes, config.exclude_nodes)


def _prepare(model: ModelProto) -> None:
    free_weights(model)
    lift_constants(model)
    name_nodes(model)
    unite_imports(model)


def _nothing(
    model: ModelProto, config: DynamicQuantConfig, found: Sequence[Found], left: Sequence[Left]
) -> Sequence[str]:
    why = dict.fromkeys(entry.reason for entry in left)
    if found or not why:
        return nothing_reason(model, config.op_types, found, looks_inside=True)
    return [f"the model has nothing that may be quantized: {'; '.join(why)}"]


def _notes(found: Sequence[Found], left: Sequence[Left]) -> dict[str, Json]:
    notes: dict[str, Json] = {"quantized": dict(sorted(Counter(each.node.op_type for each in found).items()))}
    if left:
        notes["left"] = {
            reason: [entry.node.name for entry in left if entry.reason == reason]
            for reason in dict.fromkeys(entry.reason for entry in left)
        }
    return notes
