"""The pass `fuse`: what exporters write out in small operators becomes fused operators, where that is proven equal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.read import opset
from olivelike.onnxfile.walk import graphs, nodes
from olivelike.onnxfile.wiring import graphs_inside, put_in_order
from olivelike_passes.graph.fusion.attention import fuse_attention
from olivelike_passes.graph.fusion.build import MICROSOFT
from olivelike_passes.graph.fusion.convolutions import fuse_convolutions
from olivelike_passes.graph.fusion.embeddings import fuse_embeddings
from olivelike_passes.graph.fusion.floats import drop_casts
from olivelike_passes.graph.fusion.gelus import fuse_gelus
from olivelike_passes.graph.fusion.net import Net
from olivelike_passes.graph.fusion.norms import fuse_layer_norms, fuse_rms_norms
from olivelike_passes.graph.fusion.rotary import fuse_rotary
from olivelike_passes.graph.fusion.skip_norms import fuse_skip_norms
from olivelike_passes.graph.fusion.standard_attention import fuse_standard_attention
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.header import replace_all, unite_imports
from olivelike_passes.holds import quantized_operators
from olivelike_passes.weights import free_weights, lift_constants, replaceable_weights

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

Kind: TypeAlias = Literal[
    "layer_norm", "rms_norm", "gelu", "skip_norm", "attention", "rotary", "embed_norm", "conv_activation"
]

FUSIONS: Mapping[Kind, tuple[Callable[[Net], None], ...]] = {
    "layer_norm": (fuse_layer_norms,),
    "rms_norm": (fuse_rms_norms,),
    "gelu": (fuse_gelus,),
    "rotary": (fuse_rotary,),
    "attention": (fuse_standard_attention, fuse_attention),
    "embed_norm": (fuse_embeddings,),
    "skip_norm": (fuse_skip_norms,),
    "conv_activation": (fuse_convolutions,),
}
"""What looks for each kind, in the order in which they run: later ones build on what earlier ones put in."""


DEFAULT: tuple[Kind, ...] = ("layer_norm", "rms_norm", "gelu", "rotary", "attention")


class FuseConfig(PassConfig):
    """What `fuse` is to look for."""

    kinds: tuple[Kind, ...] = DEFAULT
    """Which patterns to fuse, of `layer_norm`, `rms_norm`, `gelu`, `rotary`, `attention`, and of three that are fused only where
    they are named. `skip_norm`, an addition and the normalization after it, is slower on CPUs. `conv_activation`, a convolution
    and the activation after it, gains no time, because ONNX Runtime does it itself as it loads a model, and what quantizes
    convolutions does not know the fused one. `embed_norm` is the embeddings that an encoder begins with and their normalization:
    who names it asserts that all ids that come in, of words, segments and positions, are at least 0 and less than the number of
    rows of their table. `Gather` counts negative ids from the table's end; the fused operator fails on them."""


class Fuse(GraphPass[FuseConfig]):
    """Finds the patterns of transformers in the graph, and activated convolutions, and puts fused operators in for them.

    What it does:
        Looks for what exporters write out in small operators, in whichever order and with whichever detours they do (torch's
        TorchScript and dynamo exporters are known): layer and RMS normalization, an addition before one, the GELU family with
        its bias, rotary position embedding, attention with its mask, with earlier keys and values, and with keys that several
        heads share, embeddings and their normalization, and a convolution with its activation. What it finds becomes one
        operator of ONNX Runtime's or, where the opset has one, ONNX's own:

        | kind | becomes |
        |---|---|
        | `layer_norm` | `LayerNormalization` (opset 17 on) |
        | `rms_norm` | `RMSNormalization` (opset 23 on) or `SkipSimplifiedLayerNormalization` |
        | `skip_norm` | `SkipLayerNormalization`, `SkipSimplifiedLayerNormalization` |
        | `gelu` | `BiasGelu`, `Gelu`, `FastGelu`, `QuickGelu` |
        | `rotary` | `RotaryEmbedding` |
        | `attention` | `MultiHeadAttention`, `GroupQueryAttention`, `Attention` |
        | `embed_norm` | `EmbedLayerNormalization` |
        | `conv_activation` | `FusedConv` |

        It puts an operator in only where it computes the same for every input: constants, axes, types and sizes are checked,
        sizes by following how the graph computes them, with names in the place of open dimensions. Weights are not read.
        Only of the ids of `embed_norm` it is not proven that they are in range: who names it says so. The notes count what was
        put in, and what was nearly a pattern and why it is none.

        `skip_norm` must be named, and is for GPUs: on a CPU (ONNX Runtime 1.32, x86-64) `SkipLayerNormalization` of 128 x 384
        numbers takes 300 us, an `Add` and a `LayerNormalization` 43 us. `rms_norm` takes an addition before it in where
        the opset has no `RMSNormalization`: that is faster than the operators it was written in (54 us and 66 us).

        `conv_activation` must be named too. It takes `Relu`, `Tanh`, `Sigmoid`, `LeakyRelu`, `HardSigmoid`, and `Clip` with
        constant bounds. ONNX Runtime fuses nearly the same as it loads a model for CPUs, so the gain is a smaller graph:
        SqueezeNet goes from 65 nodes to 39, its outputs are the same to the bit, and a run takes 6.1 ms before and after.

    When to use it:
        After `simplify`, before quantization and before `float16`, for models that run on ONNX Runtime. Where the inputs'
        open dimensions have names, equal ones for equal sizes, more can be proven: for a decoder, the past length of all
        layers. `GroupQueryAttention` needs a batch of a known size, and takes new tokens after earlier ones for one sequence at
        a time: it is put in where the batch is known to be 1 (`fix_shapes` before), or is known and there is no past;
        otherwise `MultiHeadAttention` with the queries that share a key stacked.

    Limits:
        Fuses float32 only. Refuses quantized models, and models in which it finds nothing. What a pattern holds inside is
        left alone where something else takes it too, or a graph inside the model does. Outputs differ in the last digits,
        because a fused operator sums in another order; scores beyond 1e30 are not thought of. Where heads share keys, and in
        ONNX's `Attention`, a batch of 0 sequences fails afterwards, and so do 0 new tokens after earlier ones. Operators of
        `com.microsoft` need ONNX Runtime, and `GroupQueryAttention` here one that knows its attribute `causal` (1.32 does).
        `Conv` with the `BatchNormalization` after it is `simplify`'s work: run it before `conv_activation`. On other devices
        than CPUs `FusedConv` has fewer activations, and may have none.

    Example:
        ```yaml
        passes:
          - simplify: {}
          - fuse: {}
        ```
    """

    name = "fuse"
    config = FuseConfig
    lossless = True

    def unsuitable(self, model: ModelProto, config: FuseConfig, target: Target) -> Sequence[str]:
        """Refuses quantized models, and those that define an operator of the runtime's themselves."""
        reasons = []
        quantized = quantized_operators(model)
        if quantized:
            reasons.append(f"the model is quantized already ({', '.join(quantized)}): fuse before quantization")
        own = [function.name for function in model.functions if function.domain == MICROSOFT]
        if own:
            reasons.append(
                f"the model defines operators of {MICROSOFT} itself ({', '.join(own)}), which the runtime has too"
            )
        return reasons

    def rewrite(self, model: ModelProto, source: Artifact, config: FuseConfig, context: PassContext) -> Rewritten:
        """Fuses in every graph, those inside first.

        Raises:
            RefusedError: OL301, nothing was found.
        """
        unite_imports(model)
        free_weights(model)
        lift_constants(model)
        spare = _unread(model)
        fused, near = _fuse(model, source.model, config.kinds)
        if not +fused:
            missed = "".join(f"; {count} times {reason}" for reason, count in sorted(near.items()))
            claim = f"nothing in the model matches a pattern of {', '.join(config.kinds)}{missed}"
            raise fail(RefusedError, "OL301", claim, hint=_hint(config.kinds, near))
        _drop(model, _unread(model) - spare)
        put_in_order(model)
        _import_what_is_used(model)
        return Rewritten(model, {"fused": dict(sorted((+fused).items())), "near": dict(sorted(near.items()))})


def _hint(kinds: Sequence[Kind], near: Mapping[str, int]) -> str:
    if any(reason.endswith(" before") for reason in near):
        return "put what a reason names before it, or leave the pass out"
    others = [kind for kind in DEFAULT if kind not in kinds]  # the rest ask for more than a wish
    return f"leave the pass out, or name other kinds: {', '.join(others)}" if others else "leave the pass out"


def _fuse(model: ModelProto, path: Path, kinds: Sequence[Kind]) -> tuple[Counter[str], Counter[str]]:
    fused: Counter[str] = Counter()
    near: Counter[str] = Counter()
    replaceable, version = replaceable_weights(model), opset(model)

    def fuse_in(graph: GraphProto, outer: Net | None) -> None:
        inside = [inner for node in graph.node for inner in graphs_inside(node)]
        if inside:
            around = Net(graph, path, version, replaceable, outer)
            for inner in inside:
                fuse_in(inner, around)
        net = Net(graph, path, version, replaceable, outer)
        drop_casts(net)
        for kind in FUSIONS:
            for find in FUSIONS[kind] if kind in kinds else ():
                find(net)
        net.write()
        fused.update(net.fused)
        near.update(net.near)

    fuse_in(model.graph, None)
    return fused, near


def _unread(model: ModelProto) -> set[str]:
    read = {name for node in nodes(model) for name in node.input}
    read |= {output.name for graph in graphs(model) for output in graph.output}
    return {tensor.name for graph in graphs(model) for tensor in graph.initializer} - read


def _drop(model: ModelProto, unread: set[str]) -> None:
    """Takes out the weights that only what is no more has read."""
    for graph in graphs(model):
        inputs = {entry.name for entry in graph.input}
        kept = [tensor for tensor in graph.initializer if tensor.name not in unread - inputs]
        if len(kept) < len(graph.initializer):
            replace_all(graph.initializer, kept)


def _import_what_is_used(model: ModelProto) -> None:
    known = {entry.domain for entry in model.opset_import}
    if MICROSOFT not in known and any(node.domain == MICROSOFT for node in nodes(model)):
        model.opset_import.add(domain=MICROSOFT, version=1)
