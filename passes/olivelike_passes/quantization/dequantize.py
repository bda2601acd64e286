"""The pass `dequantize`: a quantized model back in floating point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.digest import Json
from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.names import Names, all_names
from olivelike.onnxfile.quantized import is_quantized
from olivelike.onnxfile.read import opset
from olivelike.onnxfile.walk import graphs, nodes, tensors
from olivelike.onnxfile.wiring import graphs_inside, leading_to, makers, reads, rename_reads
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.header import replace_all, unite_imports
from olivelike_passes.holds import quantized_operators
from olivelike_passes.quantization.unquantized.operators import SAME_VALUES, STATIC, same_values
from olivelike_passes.quantization.unquantized.products import PRODUCTS
from olivelike_passes.quantization.unquantized.scope import Model, Scope
from olivelike_passes.weights import free_weights, lift_constants, replaceable_weights

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

EDGES = ("QuantizeLinear", "DequantizeLinear")
"""What may stay: inputs and outputs of the model that are integers."""


class DequantizeConfig(PassConfig):
    """`dequantize` takes no options."""


class Dequantize(GraphPass[DequantizeConfig]):
    """Takes a quantized model back to floating point.

    What it does:
        Replaces every quantized operator by the one it stands for: pairs of `QuantizeLinear` and `DequantizeLinear` (QDQ),
        `QLinear...` operators, products with dynamically quantized inputs, `MatMulNBits`, `GatherBlockQuantized`,
        `DynamicQuantizeLSTM`, `QAttention`. Each quantized weight becomes the floats that it stands for, exactly as the
        quantized model computes with it, one at a time as the model is written. Activations are no longer rounded. Where a
        range of integers began at zero and nothing else keeps the value there, `Clip` does: quantizers leave `Relu` and
        `Clip` to such a range. Inputs and outputs that are integers stay so.

    When to use it:
        Before another quantization of a model that came quantized, or to see what rounding activations costs.

    Limits:
        What rounding took from the weights is lost. Refuses what it cannot take back, by name: `MatMulBnb4`, `QMoE`,
        `QEmbedLayerNormalization`, products whose columns have an order of their own (`g_idx`), quantized operators inside
        functions of the model's own.

    Example:
        ```yaml
        passes:
          - dequantize: {}
          - dynamic_quant: {per_channel: true}
        ```
    """

    name = "dequantize"
    config = DequantizeConfig
    tools = ("onnx", "numpy")

    def unsuitable(self, model: ModelProto, config: DequantizeConfig, target: Target) -> Sequence[str]:
        """Refuses models that are not quantized, and those that quantize inside functions or while training."""
        if not quantized_operators(model):
            return ["the model is not quantized: there is nothing to take back"]
        if any(is_quantized(node.op_type) for function in model.functions for node in function.node):
            return ["a function of the model is quantized: put `inline_functions: {}` before it"]
        return ["the model holds training graphs"] if model.training_info else []

    def rewrite(self, model: ModelProto, source: Artifact, config: DequantizeConfig, context: PassContext) -> Rewritten:
        """Rewrites the graphs; weights are made as they are written.

        Raises:
            RefusedError: OL301, an operator cannot be taken back.
        """
        lift_constants(model)
        unite_imports(model)
        free_weights(model)
        counts = Counter(tensor.name for tensor in tensors(model))
        counts.update({name for graph in graphs(model) for node in graph.node for name in node.output})
        shared = {name for name, count in counts.items() if count > 1}
        before = Counter(node.op_type for node in nodes(model) if is_quantized(node.op_type))
        whole = Model(source.model, opset(model), Names(all_names(model)), shared)
        main = Scope(whole, model.graph)
        main.forget(sorted(replaceable_weights(model)))
        _take_back(main)
        left = Counter(node.op_type for node in nodes(model) if is_quantized(node.op_type))
        if stuck := sorted(set(left) - set(EDGES)):
            claim = f"the model computes with {', '.join(stuck)}, which cannot be taken back to floats here"
            raise fail(RefusedError, "OL301", claim, hint="start from the model that was quantized")
        taken = {kind: count - left[kind] for kind, count in sorted(before.items())}
        if not any(taken.values()):
            raise fail(RefusedError, "OL301", "only inputs and outputs of the model are quantized, which stay so")
        notes: dict[str, Json] = {"taken_back": {**taken}, "weights": whole.freed, "left": dict(sorted(left.items()))}
        return Rewritten(model, notes, whole.made)


def _take_back(scope: Scope) -> None:
    """Rewrites a graph and those inside it, in place."""
    for place, node in enumerate(scope.source):
        if place in scope.skipped:
            continue
        rename_reads(node, {old: new for old, new in scope.renamed.items() if old != new})
        handler = {**STATIC, **PRODUCTS}.get(node.op_type)
        if handler is None and node.op_type in SAME_VALUES and node.domain in ("", "ai.onnx"):
            handler = same_values
        if handler is None or not _may(node) or not handler(scope, node):
            scope.nodes.append(node)
        for inner in graphs_inside(node):
            _take_back(Scope(scope.model, inner, scope))
    for output in scope.graph.output:
        output.name = scope.renamed.get(output.name, output.name)
    replace_all(scope.graph.node, scope.nodes)
    _prune(scope.graph)


def _may(node: NodeProto) -> bool:
    return node.domain in ("", "ai.onnx", "com.microsoft")


def _prune(graph: GraphProto) -> None:
    """Takes out what quantization has left behind: nodes and weights that lead to no output, and what is said of them."""
    kept = leading_to((entry.name for entry in graph.output), graph.node, makers(graph.node))
    replace_all(graph.node, [graph.node[place] for place in kept])
    used = {name for node in graph.node for name in reads(node)} | {entry.name for entry in graph.output}
    inputs = {entry.name for entry in graph.input}
    replace_all(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in used | inputs])
    made = {name for node in graph.node for name in node.output}
    replace_all(graph.value_info, [entry for entry in graph.value_info if entry.name in made])
    del graph.quantization_annotation[:]
