"""Operators that the runtime has whole on integers: `LSTM`, and the fused attention and embedding of its own domain.

Their forms: onnxruntime/docs/ContribOperators.md, `DynamicQuantizeLSTM`, `QAttention`, `QEmbedLayerNormalization`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from olivelike_passes.quantization.coded import Coded, Form, IntegerWeights
from olivelike_passes.quantization.dynamic.found import Found
from olivelike_passes.quantization.dynamic.graph_writer import GraphWriter

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto


def write_lstm(found: Found, writer: GraphWriter, weights: IntegerWeights, *, per_channel: bool) -> None:
    """Writes `DynamicQuantizeLSTM`, whose weights lie `[directions, inputs, 4 * hidden]`, with a scale for each direction."""
    node = found.node
    own, recurrent = (
        weights.coded(found.weights[place], _gates(found.weights[place], per_channel)) for place in (1, 2)
    )
    kept = _padded(node, 8)
    kept[1:3] = [own.codes, recurrent.codes]
    grids = [own.scale, own.zero_point, recurrent.scale, recurrent.zero_point]
    writer.replace(node, "DynamicQuantizeLSTM", [*kept, *grids], dropped=("layout",))


def write_attention(found: Found, writer: GraphWriter, weights: IntegerWeights, *, per_channel: bool) -> None:
    """Writes `QAttention`: projections on integers, the attention itself in float32."""
    node = found.node
    rows, columns = (int(dim) for dim in found.weights[1].dims)
    form = Form(rows, "columns" if per_channel else "none", (rows, columns), (0, 1), (columns,) if per_channel else ())
    coded = weights.coded(found.weights[1], form)
    given = writer.quantized(node.input[0])
    _, _, bias, mask, past = _padded(node, 5)
    zeros = [given.zero_point, coded.zero_point]
    inputs = [given.codes, coded.codes, bias, given.scale, coded.scale, mask, *zeros, past]
    while not inputs[-1]:
        inputs.pop()
    writer.replace(node, "QAttention", inputs)


def write_embedding(found: Found, writer: GraphWriter, weights: IntegerWeights) -> None:
    """Writes `QEmbedLayerNormalization`, whose tables and norm are 8-bit with a scale each."""
    node = found.node
    ids, segments, *_, mask = _padded(node, 8)
    coded = [weights.coded(found.weights[place], _whole(found.weights[place])) if place in found.weights else NONE
             for place in range(2, 7)]  # fmt: skip
    inputs = [ids, segments, *(each.codes for each in coded), mask]
    inputs += [*(each.scale for each in coded), *(each.zero_point for each in coded)]
    writer.replace(node, "QEmbedLayerNormalization", inputs, dropped=("mask_index_type",))


NONE = Coded("", "", "")


def _gates(tensor: TensorProto, per_channel: bool) -> Form:
    directions, gates, inputs = (int(dim) for dim in tensor.dims)
    grid = (directions, gates) if per_channel else (directions,)
    # One direction's weights make a row, or one gate's.
    rows = directions * gates if per_channel else directions
    return Form(rows, "rows", (directions, gates, inputs), (0, 2, 1), grid)


def _whole(tensor: TensorProto) -> Form:
    dims = tuple(int(dim) for dim in tensor.dims)
    return Form(max(math.prod(dims[:-1]), 1), "none", dims, tuple(range(len(dims))), ())


def _padded(node: NodeProto, count: int) -> list[str]:
    return [*node.input, *[""] * count][:count]
