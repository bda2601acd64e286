"""Rewrites that let the last layer of a language model read the table of embeddings, so that it is stored once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olivelike_passes.surgery.nbits import PACKED, float_rows
from olivelike_passes.surgery.opened import MICROSOFT, Opened
from olivelike_passes.surgery.rewrite import Absent, Found, NoParameters, Rewrite
from olivelike_passes.surgery.scope import OWN, Scope, attribute_of
from olivelike_passes.surgery.values import same_values

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

BIAS_IS_OPTIONAL = 11
"""From this opset on `Gemm` needs no third input, and `Slice` takes its ends as inputs."""
SAMPLE = 256
"""So many rows are compared before a layer is given other weights."""
ALIKE = 0.8
"""The cosine below which weights are not the embeddings: rounding to 2 bits leaves some 0.85, to 4 bits 0.99; weights that
have nothing to do with each other give 0."""


def tie_embeddings(opened: Opened, _: NoParameters) -> Found:
    """Lets the last layer read the table of embeddings, where both hold the same values.

    Pattern: `Gather` along axis 0 of a constant table [V, H], and `MatMul` by a constant [H, V] that is the table
    transposed, bit by bit. Result: `Reshape` to [-1, H], `Gemm(transB=1)` by the table, `Reshape` to the shape that the
    product had (`Shape`, `Slice`, `Concat`); the second copy is gone. Numbers differ by rounding at most.

    Pattern, quantized: `GatherBlockQuantized` and `MatMulNBits` (`com.microsoft`) whose weights, scales and zero points are
    equal. Result: the latter reads the former's, its weight through a `Reshape`. No number changes.
    """
    scope = opened.main
    tables = {node.input[0]: tensor for node, tensor in _tables(scope)}
    blocks = [node for node in scope.nodes if node.op_type == "GatherBlockQuantized" and node.domain == MICROSOFT]
    if any(
        _is_made_of_weight(scope, node) for node in scope.nodes if node.op_type in ("Gather", "GatherBlockQuantized")
    ):
        return Absent("the table is made of another weight already")
    if not tables and not blocks:
        return Absent("found no Gather or GatherBlockQuantized of a constant table")
    close: list[str] = []
    count = 0
    for node in scope.nodes:
        if node.op_type == "MatMul" and node.domain in OWN:
            count += _tie(opened, node, tables, close)
        elif node.op_type == "MatMulNBits" and node.domain == MICROSOFT:
            count += any(_tie_quantized(opened, block, node, close) for block in blocks)
    if count:
        return count
    if any(node.op_type in ("Transpose", "Gemm") and set(node.input) & tables.keys() for node in scope.nodes):
        return Absent("the last layer reads the table already")
    if close:
        return Absent(f"the weight of {close[0]!r} has the size of the table, but not its values")
    return Absent("found no MatMul by a constant of the size of the table transposed, and no MatMulNBits of its size")


def _tables(scope: Scope) -> Iterator[tuple[NodeProto, TensorProto]]:
    for node in scope.nodes:
        if node.op_type != "Gather" or node.domain not in OWN or attribute_of(node, "axis", 0) != 0:
            continue
        tensor = scope.constant(node.input[0])
        if tensor is not None and len(tensor.dims) == 2:
            yield node, tensor


def _is_made_of_weight(scope: Scope, node: NodeProto) -> bool:
    """Whether a table is the last layer's weight in another form, as exporters write tied embeddings."""
    maker = scope.maker(node.input[0], "Transpose", "Reshape")
    tensor = scope.constant(maker.input[0]) if maker is not None else None
    return tensor is not None and len(tensor.dims) > 1


def _tie(opened: Opened, head: NodeProto, tables: dict[str, TensorProto], close: list[str]) -> bool:
    weight = opened.main.constant(head.input[1])
    for name, table in tables.items():
        if weight is None or weight is table or list(weight.dims) != list(table.dims)[::-1]:
            continue
        if not same_values(opened.values(table), opened.values(weight).T):
            close.append(head.name)
            continue
        if opened.opset < BIAS_IS_OPTIONAL:
            claim = f"step tie_embeddings: needs opset {BIAS_IS_OPTIONAL}, the model has {opened.opset}"
            raise opened.refuse(claim, f"convert_opset: {{target: {BIAS_IS_OPTIONAL}}} before it")
        _put_gemm(opened, head, name, table)
        return True
    return False


def _put_gemm(opened: Opened, head: NodeProto, table: str, tensor: TensorProto) -> None:
    scope, base = opened.main, head.name or head.output[0]
    rows, width = map(int, tensor.dims)
    flat, product, shape, outer, full = (
        opened.fresh(f"{base}_{word}") for word in ("flat", "product", "shape", "outer", "full")
    )
    numbers = {"all": [-1, width], "start": [0], "end": [-1], "rows": [rows]}
    names = {word: _whole(opened, f"{base}_{word}", values) for word, values in numbers.items()}
    scope.put(
        head,
        opened.node("Reshape", [head.input[0], names["all"]], [flat], f"{base}_Reshape_pre"),
        opened.node("Gemm", [flat, table], [product], f"{base}_Gemm", transB=1),
        opened.node("Shape", [head.input[0]], [shape], f"{base}_Shape"),
        opened.node("Slice", [shape, names["start"], names["end"]], [outer], f"{base}_Slice"),
        opened.node("Concat", [outer, names["rows"]], [full], f"{base}_Concat", axis=0),
        opened.node("Reshape", [product, full], [head.output[0]], f"{base}_Reshape_post"),
    )


def _whole(opened: Opened, name: str, values: list[int]) -> str:
    import numpy as np

    return opened.weight(opened.main, np.asarray(values, np.int64), name)


def _tie_quantized(opened: Opened, block: NodeProto, head: NodeProto, close: list[str]) -> bool:
    scope = opened.main
    parts = [block.input[0], *block.input[2:]]
    pairs = list(zip(parts, head.input[1:4], strict=False))
    tensors = [(scope.constant(ours), scope.constant(theirs)) for ours, theirs in pairs if ours and theirs]
    if any(ours is None or theirs is None for ours, theirs in tensors) or head.input[1] == parts[0]:
        return False
    for ours, theirs in tensors:
        assert ours is not None and theirs is not None, "looked at before"
        first, second = opened.values(ours), opened.values(theirs)
        if first.size != second.size or first.dtype != second.dtype:
            return False
        if not same_values(first.reshape(-1), second.reshape(-1)):
            close.append(head.name)
            return False
    weight = tensors[0][1]
    assert weight is not None, "looked at before"
    new = [head.input[0], _reshaped(opened, head, parts[0], list(map(int, weight.dims)))]
    new += [ours if ours and theirs else theirs for ours, theirs in pairs[1:]]
    _put_head(opened, head, [*new, *head.input[len(new) :]])
    return True


def _reshaped(opened: Opened, head: NodeProto, table: str, shape: list[int]) -> str:
    """Returns the table in the shape in which `MatMulNBits` takes it: [rows, blocks of a row, bytes of a block]."""
    base = head.name or head.output[0]
    weight = opened.fresh(f"{base}_table")
    sizes = _whole(opened, f"{base}_table_shape", shape)
    opened.main.put(head, opened.node("Reshape", [table, sizes], [weight], f"{base}_Reshape_tied"))
    return weight


def _put_head(opened: Opened, head: NodeProto, inputs: list[str], **changed: int) -> None:
    kept = {each.name: attribute_of(head, each.name, 0) for each in head.attribute}
    attributes = {**kept, **changed}
    name = head.name or head.output[0]
    opened.main.put(head, opened.node("MatMulNBits", inputs, list(head.output), name, MICROSOFT, **attributes))


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
    weight = _reshaped(opened, head, table.data, [table.rows, table.width // table.block, table.block])
    inputs = [head.input[0], weight, table.scales, table.zero_points, *([""] if bias else []), *bias]
    _put_head(opened, head, inputs, bits=8, block_size=table.block)
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
    if (
        bits not in PACKED
        or parts[0] is None
        or parts[1] is None
        or (len(head.input) > 3 and head.input[3] and held[2] is None)
    ):
        return 0.0
    rows = np.unique(np.linspace(0, table.rows - 1, SAMPLE).astype(np.int64))
    ours = float_rows(parts[0], parts[1], parts[2] if len(parts) > 2 else None, rows, bits)[:, : table.width]
    data, *others = (opened.main.constant(name) for name in (table.data, table.scales, table.zero_points))
    scales, points = (opened.values(each) for each in others if each is not None)
    assert data is not None, "looked at before"
    blocks = opened.values(data).reshape(table.rows, -1, table.block)
    theirs = float_rows(blocks, scales, points, rows, 8)
    lengths = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    return float((ours * theirs).sum()) / lengths if lengths else 0.0


def _is_head(node: NodeProto, table: _Table) -> bool:
    if node.op_type != "MatMulNBits" or node.domain != MICROSOFT or table.scales in node.input:
        return False
    has_order = len(node.input) > 4 and bool(node.input[4])
    return not has_order and attribute_of(node, "N", 0) == table.rows and attribute_of(node, "K", 0) == table.width


REWRITES = (
    Rewrite("tie_embeddings", "TieWordEmbeddings", tie_embeddings, "embeddings that the last layer repeats"),
    Rewrite(
        "share_embedding_lm_head",
        "ShareEmbeddingLmHead",
        share_embedding_lm_head,
        "last layer of the size of the table",
    ),
)
