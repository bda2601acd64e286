"""Rewrites of quantized weights: 8-bit embeddings, and an order of columns that is none."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from olivelike_passes.surgery.opened import MICROSOFT, Opened
from olivelike_passes.surgery.rewrite import Absent, Found, NoParameters, Parameters, Rewrite
from olivelike_passes.surgery.scope import OWN, Scope, attribute_of

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray
    from onnx import NodeProto

    Table = NDArray[Any]

ROWS = 4096
"""So many rows of a table are quantized at a time."""
BLOCKED = 21
"""From this opset on `DequantizeLinear` takes a scale for each block."""
ORDER = 4
"""The input `g_idx` of `MatMulNBits` (ONNX Runtime, ContribOperators.md)."""


class Embedding(Parameters):
    """How a table of embeddings is quantized."""

    node: str = ""
    """The `Gather` nodes, by a pattern of their names (`*` and `?`). Empty: those called `embed_tokens`, and where there
    are none, those that are given an input of the model."""
    block_size: Literal[16, 32, 64, 128, 256] = 32
    """So many values of a row share a scale."""
    operator: Literal["gather_block_quantized", "dequantize_linear"] = "gather_block_quantized"
    """What makes floats of it: ONNX Runtime's fused operator, or ONNX's own, from opset 21 on."""


def quantize_embedding_int8(opened: Opened, parameters: Embedding) -> Found:
    """Stores a table of embeddings in 8 bits.

    Pattern: `Gather` along axis 0 of a constant float32 or float16 table [V, H]. Result: `GatherBlockQuantized`
    (`com.microsoft`, bits=8, gather_axis=0, quantize_axis=1) of a uint8 table with scales [V, H / block] and zero points
    128; or `Gather` of an int8 table, `Gather` of its scales and `DequantizeLinear(axis=-1)`. Each block of a row is scaled
    so that its largest magnitude becomes 127, and rounded: values differ by at most half a scale. The float table stays
    where something else reads it.
    """
    import numpy as np

    found = _gathers(opened, parameters.node)
    if not found:
        return Absent(
            "found no Gather along axis 0 of a constant float table of two axes that " + _meant(parameters.node)
        )
    if len({(id(scope.home(node.input[0])), node.input[0]) for scope, node in found}) > 1:
        names = ", ".join(node.name for _, node in found)
        raise opened.refuse(f"step quantize_embedding_int8: several tables could be meant: {names}", "name one: node")
    scope, first = found[0]
    tensor = scope.constant(first.input[0])
    assert tensor is not None, "looked at before"
    width, blocked = int(tensor.dims[1]), parameters.operator == "dequantize_linear"
    if width % parameters.block_size:
        claim = f"step quantize_embedding_int8: rows of {width} are not whole blocks of {parameters.block_size}"
        raise opened.refuse(claim, "another block_size")
    if blocked and opened.opset < BLOCKED:
        raise opened.refuse(f"step quantize_embedding_int8: DequantizeLinear by blocks needs opset {BLOCKED}")
    table, scales = _quantized(opened.values(tensor), parameters.block_size)
    if not np.isfinite(scales).all():
        raise opened.refuse(f"step quantize_embedding_int8: {tensor.name!r} holds NaN or an infinity")
    _put_tables(opened, found, table, scales, parameters)
    return len(found)


def _meant(pattern: str) -> str:
    return f"is called {pattern!r}" if pattern else "is called 'embed_tokens' or is given an input of the model"


def _gathers(opened: Opened, pattern: str) -> list[tuple[Scope, NodeProto]]:
    import onnx

    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    found = []
    for scope, node in opened.nodes("Gather"):
        tensor = scope.constant(node.input[0])
        if tensor is None or len(tensor.dims) != 2 or tensor.data_type not in floats or node.domain not in OWN:
            continue
        if attribute_of(node, "axis", 0) == 0:
            found.append((scope, node))
    if pattern:
        return [(scope, node) for scope, node in found if fnmatchcase(node.name, pattern)]
    named = [(scope, node) for scope, node in found if "embed_tokens" in node.name]
    return named or [(scope, node) for scope, node in found if node.input[1] in opened.main.inputs]


def _quantized(table: Table, block: int) -> tuple[Table, Table]:
    """Returns the table in int8 [V, H] and its scales [V, H / block] in its own type."""
    import numpy as np

    rows, width = table.shape
    whole = np.empty((rows, width), np.int8)
    scales = np.empty((rows, width // block), table.dtype)
    for start in range(0, rows, ROWS):
        part = np.asarray(table[start : start + ROWS], np.float32).reshape(-1, width // block, block)
        scale = (np.abs(part).max(axis=2) / 127).astype(table.dtype)
        scale[scale == 0] = 1
        steps = np.rint(part / scale.astype(np.float32)[:, :, None])
        whole[start : start + ROWS] = np.nan_to_num(np.clip(steps, -128, 127)).reshape(-1, width)
        scales[start : start + ROWS] = scale
    return whole, scales


def _put_tables(
    opened: Opened, found: list[tuple[Scope, NodeProto]], table: Table, scales: Table, parameters: Embedding
) -> None:
    import numpy as np

    base = found[0][1].input[0]
    scale = opened.weight(opened.main, scales, f"{base}_scales")
    if parameters.operator == "dequantize_linear":
        data = opened.weight(opened.main, table, f"{base}_Q8")
        for scope, node in found:
            scope.put(node, *_dequantized(opened, node, data, scale, parameters.block_size))
        return
    data = opened.weight(opened.main, (table.view(np.uint8) ^ 128), f"{base}_Q8")  # 128 more, without a wider type
    zero = opened.weight(opened.main, np.full(scales.shape, 128, np.uint8), f"{base}_zp")
    form = {"bits": 8, "block_size": parameters.block_size, "gather_axis": 0, "quantize_axis": 1}
    for scope, node in found:
        inputs, name = [data, node.input[1], scale, zero], node.name.replace("Gather", "GatherBlockQuantized")
        scope.put(node, opened.node("GatherBlockQuantized", inputs, [node.output[0]], name or data, MICROSOFT, **form))


def _dequantized(opened: Opened, node: NodeProto, data: str, scale: str, block: int) -> list[NodeProto]:
    base = node.name or node.output[0]
    rows, sizes = opened.fresh(f"{node.output[0]}_Q8"), opened.fresh(f"{node.output[0]}_scales")
    return [
        opened.node("Gather", [data, node.input[1]], [rows], base),
        opened.node("Gather", [scale, node.input[1]], [sizes], f"{base}_scales"),
        opened.node(
            "DequantizeLinear", [rows, sizes], [node.output[0]], f"{base}_DequantizeLinear", axis=-1, block_size=block
        ),
    ]


def remove_g_idx(opened: Opened, _: NoParameters) -> Found:
    """Takes the order of columns off quantized products where it is the order they are in.

    Pattern: `MatMulNBits` (`com.microsoft`) with a constant `g_idx` that gives each column the number of its block
    (i // block_size). Result: the same node without this input; other inputs keep their places. Orders that mean something
    stay. No number changes.
    """
    import numpy as np

    count = 0
    ordered = 0
    for scope, node in opened.nodes("MatMulNBits"):
        tensor = scope.constant(node.input[ORDER]) if len(node.input) > ORDER and node.domain == MICROSOFT else None
        if tensor is None:
            continue
        values = opened.values(tensor).reshape(-1)
        block = int(str(attribute_of(node, "block_size", 0)))
        if not block or not np.array_equal(values, np.arange(values.size) // block):
            ordered += 1
            continue
        gone = node.input[ORDER]
        node.input[ORDER] = ""
        while not node.input[-1]:
            del node.input[-1]
        opened.unread(scope, gone)
        count += 1
    return count or Absent(
        f"found {ordered} MatMulNBits with a constant g_idx, none of which is the order of the blocks"
    )


REWRITES = (
    Rewrite(
        "quantize_embedding_int8", "QuantizeEmbeddingInt8", quantize_embedding_int8, "table of embeddings", Embedding
    ),
    Rewrite("remove_g_idx", "RemoveGidxFromMatMulNBits", remove_g_idx, "MatMulNBits with a g_idx that orders nothing"),
)
