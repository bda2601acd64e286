"""The pass `nbits_to_qdq`: weights that ONNX Runtime's own operator reads, in ONNX's own form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.passes import PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.digest import Json
from olivelike.onnxfile.read import read_structure
from olivelike.onnxfile.tensors import mapped
from olivelike.onnxfile.wiring import graphs_inside
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.quantization.blocks.forms import FIRST_IR
from olivelike_passes.quantization.blocks.opened import MICROSOFT, OpenModel
from olivelike_passes.quantization.blocks.stored import packed_rows, unpacked
from olivelike_passes.quantization.quantizable import opset_reason
from olivelike_passes.quantization.weight_only import QDQ_OPSETS, QDQ_USUAL, with_level
from olivelike_passes.slices import in_slices
from olivelike_passes.weights import free_weights, replaceable_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

UINT8 = 2
FLOATS = (1, 10, 16)


@dataclass(frozen=True, slots=True)
class Rounded:
    """A `MatMulNBits`, the tensors that it reads (codes, scales, and zeros if it has any), and its attributes."""

    node: NodeProto
    graph: GraphProto
    codes: TensorProto
    scales: TensorProto
    zeros: TensorProto | None
    bits: int
    block: int
    inputs: int
    outputs: int
    accuracy_level: int

    @property
    def blocks(self) -> int:
        """Blocks that an output's weights are cut into."""
        return -(-self.inputs // self.block)


class NBitsToQdqConfig(PassConfig):
    """Nothing to choose."""


class NBitsToQdq(GraphPass[NBitsToQdqConfig]):
    """Writes ONNX's own blocked `DequantizeLinear` and `MatMul` in the place of `MatMulNBits`.

    What it does:
        Each `MatMulNBits` with constant weights becomes a `DequantizeLinear` of 2-, 4- or 8-bit codes in blocks, a `MatMul` and, if
        there is a bias, an `Add`. The numbers that weights stand for stay the same; codes are laid out anew, one matrix after
        another. What the operators were told to compute in (`accuracy_level`) becomes an option of the session.

    When to use it:
        To take a model that was quantized for ONNX Runtime to a runtime or a provider that reads ONNX's own operators only.

    Limits:
        Needs opset 21, and 25 for 2 bits. Zero points that are floats, and weights sorted by `g_idx`, have no such form: those
        nodes stay, and so does `GatherBlockQuantized`. A table that the last layer shares with the embeddings is copied for it.

    Example:
        ```yaml
        passes:
          - convert_opset: {target: 21}
          - nbits_to_qdq: {}
        ```
    """

    name = "nbits_to_qdq"
    config = NBitsToQdqConfig
    tools = ("numpy", "onnx")

    def unsuitable(self, model: ModelProto, config: NBitsToQdqConfig, target: Target) -> Sequence[str]:
        """Refuses models without such a node, and opsets that are too old."""
        found, left = _split(model)
        if not found:
            why = [f"{name!r}: {reason}" for name, reason in left.items()]
            return [f"there is no MatMulNBits to rewrite{': ' if why else ''}{'; '.join(why[:3])}"]
        needed = max(QDQ_OPSETS[each.bits] for each in found)
        return opset_reason(model, needed, "`DequantizeLinear` with blocks of these bits")

    def run(self, source: Artifact, out: Path, config: NBitsToQdqConfig, context: PassContext) -> Manifest:
        """Rewrites the model; what the nodes were told to compute in becomes an option of the session."""
        manifest = super().run(source, out, config, context)
        level = _level(_split(read_structure(source.model))[0])
        return manifest if level == QDQ_USUAL else with_level(manifest, level)

    def rewrite(self, model: ModelProto, source: Artifact, config: NBitsToQdqConfig, context: PassContext) -> Rewritten:
        """Puts the new nodes in; codes are laid out anew as the model is written."""
        free_weights(model)
        opened = OpenModel(model)
        found, left = _split(model)
        for each in found:
            _replace(opened, each, source.model)
        notes: dict[str, Json] = {"rewritten": len(found), "left": dict(left), "accuracy_level": _level(found)}
        return Rewritten(opened.close(), notes, opened.made)


def _level(found: Sequence[Rounded]) -> int:
    """Returns what all nodes will compute in: the finest that any asks for, as one option counts for all."""
    return min(each.accuracy_level for each in found)


def _split(model: ModelProto) -> tuple[list[Rounded], dict[str, str]]:
    """Returns the nodes that can be rewritten, and why others cannot."""
    found: list[Rounded] = []
    left: dict[str, str] = {}
    for node, graph, held in _nodes(model.graph, {}, replaceable_weights(model)):
        what = _rounded(node, graph, held)
        if isinstance(what, str):
            left[node.name or node.output[0]] = what
        else:
            found.append(what)
    return found, left


def _nodes(
    graph: GraphProto, around: Mapping[str, TensorProto], replaceable: frozenset[str] = frozenset()
) -> Iterator[tuple[NodeProto, GraphProto, Mapping[str, TensorProto]]]:
    """Yields every `MatMulNBits` with its graph and the constants that it can read, also those behind a `Reshape`."""
    own = {output for node in graph.node for output in node.output} | {entry.name for entry in graph.input}
    held = {name: tensor for name, tensor in around.items() if name not in own}
    held |= {tensor.name: tensor for tensor in graph.initializer if tensor.name not in replaceable}
    for node in graph.node:
        if node.op_type == "Reshape" and node.domain in ("", "ai.onnx") and node.input[0] in held:
            held[node.output[0]] = held[node.input[0]]
        if node.op_type == "MatMulNBits" and node.domain == MICROSOFT:
            yield node, graph, held
        for inner in graphs_inside(node):
            yield from _nodes(inner, held)


def _rounded(node: NodeProto, graph: GraphProto, held: Mapping[str, TensorProto]) -> Rounded | str:
    names = [*node.input, "", "", ""][:6]
    codes, scales, zeros = (held.get(name) for name in names[1:4])
    if codes is None or scales is None or (names[3] and zeros is None):
        return "its weights, scales or zero points are no constants"
    if names[4]:
        return "its weights are sorted by g_idx"
    if codes.data_type != UINT8 or (zeros is not None and zeros.data_type != UINT8) or scales.data_type not in FLOATS:
        return "its zero points are floats" if zeros is not None and zeros.data_type != UINT8 else "of unknown types"
    keys = {"bits": 4, "block_size": 0, "K": 0, "N": 0, "accuracy_level": 0}  # with what they are if not said
    given = {attribute.name: int(attribute.i) for attribute in node.attribute}
    if given.get("weight_prepacked"):
        return "its weights are laid out for a kernel"
    found = Rounded(node, graph, codes, scales, zeros, *(given.get(key, default) for key, default in keys.items()))
    if found.bits not in QDQ_OPSETS:
        return f"its weights have {found.bits} bits"
    if found.bits == 2 and found.outputs % 4:
        return "its outputs end inside a byte of 2-bit codes, which the runtime's own form of QDQ gets wrong"
    return found


def _replace(opened: OpenModel, found: Rounded, model: Path) -> None:
    import onnx

    node, bits, block = found.node, found.bits, found.block
    inputs, outputs = found.inputs, found.outputs
    kind = onnx.TensorProto.DataType.Value(f"{'' if found.zeros is None else 'U'}INT{bits}")
    spacing = [found.blocks, outputs]
    parts = [("codes", kind, [inputs, outputs]), ("scales", found.scales.data_type, spacing), ("zeros", kind, spacing)]
    # In the node's own graph: the runtime fails to load QDQ whose weights lie in a graph around it (1.32.0).
    parts = parts[: 2 if found.zeros is None else 3]
    names = opened.announce(found.codes, parts, lambda: _laid_out(found, model), found.graph)
    opened.at_least_ir(FIRST_IR[bits])
    weight = opened.value(f"{names[0]}_dequantized")
    opened.before(node, opened.node("DequantizeLinear", names, weight, weight, axis=0, block_size=block))
    bias = node.input[5] if len(node.input) > 5 else ""
    if bias:
        output, product = node.output[0], opened.value(f"{node.output[0]}_product")
        node.output[0] = product
        opened.after(node, opened.node("Add", [product, bias], output, f"{node.name or output}_Add"))
    for tensor in (found.codes, found.scales, found.zeros):
        if tensor is not None:
            opened.replaced(tensor)
    opened.become(node, "MatMul", [node.input[0], weight])


def _laid_out(found: Rounded, model: Path) -> list[NDArray[Any]]:
    """Returns codes `[inputs, outputs]` (packed), scales and, if there are any, zeros `[blocks, outputs]` (packed)."""
    import numpy as np

    bits, inputs, outputs, blocks = found.bits, found.inputs, found.outputs, found.blocks
    old: NDArray[np.uint8] = mapped(found.codes, model).reshape(outputs, -1).view(np.uint8)
    codes = np.empty((inputs, outputs), np.uint8)
    flip = np.uint8(
        2 ** (bits - 1) if found.zeros is None else 0
    )  # the same number less the middle, in two's complement

    def lay_out(rows: slice) -> None:
        codes[:, rows] = unpacked(old[rows], bits)[:, :inputs].T ^ flip

    in_slices(outputs, inputs, lay_out)
    scales = np.ascontiguousarray(mapped(found.scales, model).reshape(outputs, blocks).T)
    tensors: list[NDArray[Any]] = [packed_rows(codes.reshape(1, -1), bits)[0], scales]
    if found.zeros is not None:
        packed: NDArray[np.uint8] = mapped(found.zeros, model).reshape(outputs, -1).view(np.uint8)
        zeros = np.ascontiguousarray(unpacked(packed, bits)[:, :blocks].T)
        tensors.append(packed_rows(zeros.reshape(1, -1), bits)[0])
    return tensors
