"""A rewrite that gives the last layer of a quantized language model the 8-bit table of embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike_passes.surgery.embeddings import put_head, reshaped_table
from olivelike_passes.surgery.nbits import PACKED, float_rows
from olivelike_passes.surgery.opened import MICROSOFT, Opened
from olivelike_passes.surgery.rewrite import Absent, Found, NoParameters, Rewrite
from olivelike_passes.surgery.scope import Scope, attribute_of

if TYPE_CHECKING:
    from onnx import NodeProto

SAMPLE = 256
"""So many rows are compared before a layer is given other weights."""
ALIKE = 0.8
"""The cosine below which weights are not the embeddings: rounding to 2 bits leaves some 0.85, to 4 bits 0.99; weights that
have nothing to do with each other give 0."""


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of 8-bit embeddings: the names of its parts, and its sizes."""

    data: str
    scales: str
    zero_points: str
    rows: int
    width: int
    block: int


def share_embedding_lm_head(opened: Opened, _: NoParameters) -> Found:
    """Lets the last layer of a quantized language model compute with the 8-bit table of embeddings.

    Pattern: `GatherBlockQuantized` (`com.microsoft`) of 8 bits along axis 0 of a constant table [V, H] with zero points, as
    `quantize_embedding_int8` makes it; and the `MatMulNBits` with N = V and K = H, of any number of bits (the one called
    `lm_head` where there are several), whose weights are the embeddings but for rounding. Result: `MatMulNBits` of 8 bits
    that reads the table through a `Reshape`, its scales and its zero points; the old weights are gone. Numbers differ as the
    last layer's weights are now rounded otherwise. Refuses a model that does not tie them: it would give nonsense.
    """
    scope = opened.main
    tables = [table for node in scope.nodes for table in _tables_of_bytes(scope, node)]
    if not tables:
        return Absent("found no GatherBlockQuantized of 8 bits with a constant table, scales and zero points")
    table = tables[0]
    heads = [node for node in scope.nodes if _is_head(node, table)]
    named = [node for node in heads if "lm_head" in node.name] or heads
    if len(named) != 1:
        return Absent(
            f"found {len(named)} MatMulNBits with N = {table.rows} and K = {table.width} besides the table's own"
        )
    head = named[0]
    likeness = _likeness(opened, head, table)
    if likeness < ALIKE:
        claim = f"the weights of {head.name!r} are not the embeddings (cosine {likeness:.2f} on {SAMPLE} rows)"
        raise opened.refuse(f"step share_embedding_lm_head: {claim}", "this model does not tie them: take the step out")
    kinds = [scope.constant(name) for name in (head.input[2], table.scales)]
    if any(each is None for each in kinds) or len({each.data_type for each in kinds if each is not None}) != 1:
        return Absent(f"the scales of {head.name!r} and of the table are not of one type")
    bias = [head.input[5]] if len(head.input) > 5 and head.input[5] else []
    weight = reshaped_table(opened, head, table.data, [table.rows, table.width // table.block, table.block])
    inputs = [head.input[0], weight, table.scales, table.zero_points, *([""] if bias else []), *bias]
    put_head(opened, head, inputs, bits=8, block_size=table.block)
    return 1


def _tables_of_bytes(scope: Scope, node: NodeProto) -> Iterator[_Table]:
    if node.op_type != "GatherBlockQuantized" or node.domain != MICROSOFT or len(node.input) < 4:
        return
    if attribute_of(node, "bits", 4) != 8 or attribute_of(node, "gather_axis", 0) != 0:
        return
    data = scope.constant(node.input[0])
    parts = [scope.constant(name) for name in node.input[2:4]]
    if data is None or len(data.dims) != 2 or any(part is None for part in parts):
        return
    if attribute_of(node, "quantize_axis", 1) in (1, -1):
        block = int(str(attribute_of(node, "block_size", 128)))
        yield _Table(node.input[0], node.input[2], node.input[3], int(data.dims[0]), int(data.dims[1]), block)


def _likeness(opened: Opened, head: NodeProto, table: _Table) -> float:
    """Returns the cosine between the last layer's weights and the table, on some rows; 0 where they cannot be read."""
    import numpy as np

    bits = int(str(attribute_of(head, "bits", 4)))
    held = [opened.main.constant(name) if name else None for name in head.input[1:4]]
    parts = [None if each is None else opened.values(each) for each in held]
    data, scales, points = (*parts, None)[:3]
    points_unknown = len(head.input) > 3 and bool(head.input[3]) and points is None
    if bits not in PACKED or data is None or scales is None or points_unknown:
        return 0.0
    rows = np.unique(np.linspace(0, table.rows - 1, SAMPLE).astype(np.int64))
    ours = float_rows(data, scales, points, rows, bits)[:, : table.width]
    known = [opened.main.constant(name) for name in (table.data, table.scales, table.zero_points)]
    whole, steps, middles = (opened.values(each) for each in known if each is not None)
    theirs = float_rows(whole.reshape(table.rows, -1, table.block), steps, middles, rows, 8)
    lengths = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    return float((ours * theirs).sum()) / lengths if lengths else 0.0


def _is_head(node: NodeProto, table: _Table) -> bool:
    if node.op_type != "MatMulNBits" or node.domain != MICROSOFT or table.scales in node.input:
        return False
    has_order = len(node.input) > 4 and bool(node.input[4])
    return not has_order and attribute_of(node, "N", 0) == table.rows and attribute_of(node, "K", 0) == table.width


REWRITES = (
    Rewrite(
        "share_embedding_lm_head",
        "ShareEmbeddingLmHead",
        share_embedding_lm_head,
        "last layer of the size of the table",
    ),
)
