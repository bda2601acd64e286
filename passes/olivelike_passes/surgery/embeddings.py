"""A rewrite that lets the last layer of a language model read the table of embeddings where it repeats it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from olivelike_passes.surgery.opened import MICROSOFT, Opened
from olivelike_passes.surgery.rewrite import Absent, Found, NoParameters, Rewrite
from olivelike_passes.surgery.scope import OWN, Scope, attribute_of
from olivelike_passes.surgery.values import same_values

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

BIAS_IS_OPTIONAL = 11
"""From this opset on `Gemm` needs no third input, and `Slice` takes its ends as inputs."""


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
    close: list[str] = []
    count = 0
    for node in scope.nodes:
        if node.op_type == "MatMul" and node.domain in OWN:
            count += _tie(opened, node, tables, close)
        elif node.op_type == "MatMulNBits" and node.domain == MICROSOFT:
            count += any(_tie_quantized(opened, block, node, close) for block in blocks)
    return count or Absent(_why_none(scope, tables, blocks, close))


def _why_none(scope: Scope, tables: Mapping[str, TensorProto], blocks: Sequence[NodeProto], close: list[str]) -> str:
    """Says what there is in place of a table and a layer that repeats it."""
    gathers = [node for node in scope.nodes if node.op_type in ("Gather", "GatherBlockQuantized")]
    if any(_is_made_of_weight(scope, node) for node in gathers):
        return "the table is made of another weight already"
    if not tables and not blocks:
        return "found no Gather or GatherBlockQuantized of a constant table"
    if any(node.op_type in ("Transpose", "Gemm") and set(node.input) & tables.keys() for node in scope.nodes):
        return "the last layer reads the table already"
    if close:
        return f"the weight of {close[0]!r} has the size of the table, but not its values"
    return "found no MatMul by a constant of the size of the table transposed, and no MatMulNBits of its size"


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
    new = [head.input[0], reshaped_table(opened, head, parts[0], list(map(int, weight.dims)))]
    new += [ours if ours and theirs else theirs for ours, theirs in pairs[1:]]
    put_head(opened, head, [*new, *head.input[len(new) :]])
    return True


def reshaped_table(opened: Opened, head: NodeProto, table: str, shape: list[int]) -> str:
    """Returns the table in the shape in which `MatMulNBits` takes it: [rows, blocks of a row, bytes of a block]."""
    base = head.name or head.output[0]
    weight = opened.fresh(f"{base}_table")
    sizes = _whole(opened, f"{base}_table_shape", shape)
    opened.main.put(head, opened.node("Reshape", [table, sizes], [weight], f"{base}_Reshape_tied"))
    return weight


def put_head(opened: Opened, head: NodeProto, inputs: list[str], **changed: int) -> None:
    """Puts a `MatMulNBits` in the place of one, with other inputs and some other attributes."""
    kept = {each.name: attribute_of(head, each.name, 0) for each in head.attribute}
    attributes = {**kept, **changed}
    name = head.name or head.output[0]
    opened.main.put(head, opened.node("MatMulNBits", inputs, list(head.output), name, MICROSOFT, **attributes))


REWRITES = (Rewrite("tie_embeddings", "TieWordEmbeddings", tie_embeddings, "embeddings that the last layer repeats"),)
