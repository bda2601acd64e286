"""The pass `fuse_transformers`: the patterns of a transformer become the runtime's fused operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.carry import deliver
from olivelike.contracts.passes import Pass, PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.read import opset, read_model, read_structure
from olivelike.onnxfile.walk import nodes
from olivelike_passes.header import restore_header, unite_imports
from olivelike_passes.holds import quantized_operators, unknown_operators
from olivelike_passes.runtime import quiet
from olivelike_passes.weights import free_weights

if TYPE_CHECKING:
    from onnx import ModelProto


class FuseTransformersConfig(PassConfig):
    """What `fuse_transformers` looks for."""

    model_type: Literal[
        "bart", "bert", "bert_keras", "bert_tf", "clip", "conformer", "gpt2", "gpt2_tf", "gpt_neox", "mmdit", "phi",
        "qwen3", "sam2", "swin", "t5", "tnlr", "unet", "vae", "vit",
    ] = "bert"  # fmt: skip
    """The architecture whose patterns are looked for."""
    num_heads: int = Field(0, ge=0)
    """The number of attention heads; 0 finds it in the graph, which works for BERT-like models."""
    hidden_size: int = Field(0, ge=0)
    """The width of the hidden state; 0 finds it in the graph, which works for BERT-like models."""
    opt_level: Literal[0, 1, 2, 99] = 0
    """How far the runtime optimizes the graph before the patterns are looked for. Above 0 the tool needs torch."""


class FuseTransformers(Pass[FuseTransformersConfig]):
    """Fuses attention, layer normalization, GELU and embeddings of a transformer into single operators.

    What it does:
        Runs ONNX Runtime's transformer optimizer: chains of small operators become `Attention`, `SkipLayerNormalization`,
        `BiasGelu`, `EmbedLayerNormalization` and the like, of the domain `com.microsoft`.

    When to use it:
        For transformers on the CPU or a GPU with ONNX Runtime, after `simplify` and before quantization.

    Limits:
        It knows the patterns of certain exporters: a model exported through TorchScript fuses fully, the same model from
        torch's newer exporter only in part: `fuse` knows both. It refuses when it finds nothing to fuse, and where the tool
        would write a model that is not valid ONNX (RMS normalization). The result needs ONNX Runtime.

    Example:
        ```yaml
        passes:
          - simplify: {}
          - fuse_transformers: {model_type: bert, num_heads: 12, hidden_size: 384}
        ```
    """

    name = "fuse_transformers"
    config = FuseTransformersConfig
    tools = ("onnx", "onnxruntime")
    lossless = True

    def refuses(self, source: Artifact, config: FuseTransformersConfig, target: Target) -> Sequence[str]:
        """Refuses quantized models, and an `opt_level` above 0 where torch is not installed."""
        reasons = []
        if config.opt_level and find_spec("torch") is None:
            reasons.append(
                f"opt_level {config.opt_level} needs torch, which is not installed: run `simplify` before it and leave "
                "opt_level at 0"
            )
        quantized = quantized_operators(read_structure(source.model))
        if quantized:
            reasons.append(f"the model is quantized already ({', '.join(quantized)}): fuse before quantization")
        return reasons

    def run(self, source: Artifact, out: Path, config: FuseTransformersConfig, context: PassContext) -> Manifest:
        """Fuses what it finds.

        Raises:
            RefusedError: OL301, nothing was found.
        """
        from onnxruntime.transformers.optimizer import optimize_model

        model = read_model(source.model)
        unite_imports(model)
        free_weights(model)
        before = _counts(model)
        with quiet():
            fused = optimize_model(
                model, config.model_type, config.num_heads, config.hidden_size, opt_level=config.opt_level
            )
            kinds = set(fused.get_fused_operator_statistics())
        found = {kind: count for kind, count in sorted((_counts(fused.model) - before).items()) if kind in kinds}
        if not found:
            claim = f"nothing in the model matches the patterns of model_type {config.model_type}"
            raise fail(RefusedError, "OL301", claim, hint="is the model type right?")
        _refuse_unknown(fused.model)
        restore_header(fused.model, read_structure(source.model))
        return deliver(source, out, fused.model).noted(fuse_transformers=found)


def _refuse_unknown(model: ModelProto) -> None:
    """Refuses a result with operators that it calls ONNX's and that ONNX does not have; the runtime takes some of its own so.

    Raises:
        RefusedError: OL301, with the operators.
    """
    unknown = unknown_operators(model)
    if unknown:
        claim = f"the runtime's optimizer writes {', '.join(unknown)} into this model as ONNX's own, which ONNX does not have"
        raise fail(
            RefusedError, "OL301", f"{claim} in opset {opset(model)}", hint="use the pass `fuse`, which does not"
        )


def _counts(model: ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in nodes(model))
