"""The pass `weight_only`: weights in 2 to 8 bits, in blocks with a scale each; activations stay in float."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.passes import Auxiliary, PassContext
from olivelike.contracts.target import Target
from olivelike.digest import Json
from olivelike.errors import RefusedError, fail
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.holds import quantized_reasons
from olivelike_passes.quantization.activation_statistics import (
    ActivationStatistics,
    StatisticsConfig,
    read_statistics,
)
from olivelike_passes.quantization.blocks.choice import (
    Choice,
    Choices,
    choices,
    name_of,
    reads,
    tables,
    unmatched_patterns,
)
from olivelike_passes.quantization.blocks.forms import Forms
from olivelike_passes.quantization.blocks.learned import Learned
from olivelike_passes.quantization.blocks.making import made
from olivelike_passes.quantization.blocks.opened import OpenModel
from olivelike_passes.quantization.blocks.scaling import scale_inputs
from olivelike_passes.quantization.formats import FormatName
from olivelike_passes.quantization.quantizable import opset_reason
from olivelike_passes.quantization.sensitivity import Sensitivity, SensitivityConfig, most_sensitive
from olivelike_passes.quantization.weight_only_config import WeightOnlyConfig
from olivelike_passes.weights import WEIGHTS_ARE_INPUTS, free_weights, lift_constants, replaceable_weights

if TYPE_CHECKING:
    from onnx import ModelProto

QDQ_LEVEL = "session.qdq_matmulnbits_accuracy_level"
"""The session's option that says what `MatMulNBits` computes in which the runtime makes of `DequantizeLinear` and `MatMul`."""
QDQ_USUAL = 4
"""What it computes in if the session does not say."""
QDQ_OPSETS = {2: 25, 3: 21, 4: 21, 8: 21}
"""The opset from which on `DequantizeLinear` takes blocks of codes of so many bits."""


class WeightOnly(GraphPass[WeightOnlyConfig]):
    """Quantizes weights in small blocks, each with a scale of its own, and leaves activations in float.

    What it does:
        Replaces `MatMul` and `Gemm` with constant matrices by `MatMulNBits`, and `Gather` from constant tables by
        `GatherBlockQuantized` if asked to (`embedding_bits`); or writes blocked `DequantizeLinear` nodes (`format: qdq`). Any
        size is taken: a last block that is short is filled up. Matrices in branches and loops, weights in `Constant` nodes, of
        float16, behind a `Transpose` and of several nodes are, too. Weights are read and written one after another, so
        that memory does not grow with the model.

    When to use it:
        For language models, and wherever the size of weights or the reading of them is what counts: 4 bits make a model
        six to eight times smaller. 8 bits (block size 128) lose next to nothing.

    Limits:
        Computing in float32 from 4-bit weights is no faster than from float32 ones when many rows are computed at once;
        `accuracy_level: 4` is. 3 bits take the room of 4. Convolutions, recurrent layers, weights of bfloat16 and weights that
        may be replaced at run time stay as they are. `MatMulNBits` and `GatherBlockQuantized` are ONNX Runtime's own
        operators; the format `qdq` needs opset 21. `gptq` holds three times the square of a matrix's inputs in float64: 0.4 GB
        for 4096 inputs, 4.9 GB for 14336.

    Example:
        ```yaml
        passes:
          - weight_only:
              bits: [4, 8]
              block_size: [32, 128]
              method: [rtn, k_quant]
              embedding_bits: 8
              accuracy_level: 4
              overrides: [{nodes: "*down_proj*", bits: 8}]
        ```
    """

    name = "weight_only"
    config = WeightOnlyConfig
    tools = ("numpy", "onnx")

    def needs(self, config: WeightOnlyConfig) -> Mapping[str, Auxiliary]:
        """Asks for statistics of what flows into matrices, and for the table of sensitivities, where they count."""
        found: dict[str, Auxiliary] = {}
        if config.looks_at_inputs:
            statistics = StatisticsConfig(data=config.data, samples=config.samples, gram=config.needs_gram)
            found["statistics"] = Auxiliary(ActivationStatistics.name, statistics.model_dump(mode="json"))
        if config.most_sensitive:
            table = SensitivityConfig(data=config.data, samples=config.samples, formats=(_judged_by(config),))
            found["sensitivity"] = Auxiliary(Sensitivity.name, table.model_dump(mode="json"))
        return found

    def unsuitable(self, model: ModelProto, config: WeightOnlyConfig, target: Target) -> Sequence[str]:
        """Refuses quantized models unless told otherwise, names that match nothing, and models without fit matrices."""
        if config.if_quantized == "refuse" and (reasons := quantized_reasons(model)):
            return [f"{reason}, or say `if_quantized: rest` to quantize what is still in float" for reason in reasons]
        lift_constants(model)
        unknown = list(unmatched_patterns(model, config))
        found = choices(model, config)
        if unknown or not found.chosen:
            return unknown or [_why_none(model, found)]
        if config.format == "qdq":
            needed = max(QDQ_OPSETS[choice.grid.bits] for choice in found.chosen)
            return opset_reason(model, needed, "`DequantizeLinear` with blocks of these bits")
        return []

    def run(self, source: Artifact, out: Path, config: WeightOnlyConfig, context: PassContext) -> Manifest:
        """Quantizes the model; what the format has no place for becomes an option of the session."""
        manifest = super().run(source, out, config, context)
        if config.format == "matmul_nbits" or config.accuracy_level == QDQ_USUAL:
            return manifest
        return with_level(manifest, config.accuracy_level)

    def rewrite(self, model: ModelProto, source: Artifact, config: WeightOnlyConfig, context: PassContext) -> Rewritten:
        """Replaces the operators; weights are rounded as the model is written.

        Raises:
            RefusedError: OL301, a weight is not finite; every matrix is among the most sensitive, which stay.
        """
        free_weights(model)
        lift_constants(model)
        opened = OpenModel(model)
        found = choices(model, config, _sensitive(model, config, context))
        if not found.chosen:
            raise fail(RefusedError, "OL301", _why_none(model, found))
        notes = _notes(found)
        statistics = read_statistics(context.needed["statistics"]) if config.looks_at_inputs else None
        learned = Learned(source.model, statistics, config.damping, act_order=config.act_order)
        shared = tables(found.chosen) if config.format == "matmul_nbits" else {}
        alone = [choice for choice in found.chosen if not reads(choice, shared)]
        read = scale_inputs(opened, alone, learned, source.model)
        forms = Forms(opened, shared, lambda choice, layout: made(choice, layout, learned))
        for choice in found.chosen:
            node = choice.matrix.node
            _replace(forms, choice, config, read.get(id(node), node.input[0]))
        return Rewritten(opened.close(), notes, opened.made)


def _judged_by(config: WeightOnlyConfig) -> FormatName:
    """Returns the format by which layers are found sensitive: the nearest of those that `sensitivity` knows."""
    return "int4_b128" if config.block_size >= 128 else "int4_b32"


def _sensitive(model: ModelProto, config: WeightOnlyConfig, context: PassContext) -> Collection[str]:
    """Returns the nodes that lose most, of those that would be quantized: others, such as convolutions, are not counted."""
    if not config.most_sensitive:
        return ()
    names = {name_of(choice.matrix) for choice in choices(model, config).chosen}
    ranked = most_sensitive(context.needed["sensitivity"], _judged_by(config), sys.maxsize)
    return [name for name in ranked if name in names][: config.most_sensitive]


def with_level(manifest: Manifest, level: int) -> Manifest:
    """Returns a manifest whose session computes QDQ in so much."""
    return replace(manifest, session={**manifest.session, QDQ_LEVEL: str(level)})


def _replace(forms: Forms, choice: Choice, config: WeightOnlyConfig, activations: str) -> None:
    table = choice.matrix.kind == "Gather"
    if config.format == "matmul_nbits":
        forms.lookup(choice) if table else forms.nbits(choice, config.accuracy_level, activations)
    else:
        forms.dequantized_rows(choice) if table else forms.dequantized(choice, activations)


def _notes(found: Choices) -> dict[str, Json]:
    """Returns how many matrices got which format, and why others got none."""
    formats = Counter(
        f"{choice.matrix.kind}: {choice.grid.bits} bits, blocks of {choice.grid.block}, {choice.method}"
        for choice in found.chosen
    )
    return {"quantized": dict(sorted(formats.items())), "left": dict(sorted(found.left.items()))}


def _why_none(model: ModelProto, found: Choices) -> str:
    if found.left:
        name, why = next(iter(found.left.items()))
        return f"none of {len(found.left)} constant matrices is to be quantized ({name!r}: {why})"
    if replaceable_weights(model):
        return WEIGHTS_ARE_INPUTS
    return "there is no MatMul, Gemm or Gather with a constant matrix of float32 or float16"
