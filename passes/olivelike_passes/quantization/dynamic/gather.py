"""`Gather` of rows in 8 bits: a row is looked up as codes, and only what was looked up becomes real numbers."""

from __future__ import annotations

from olivelike_passes.matrices import Matrix
from olivelike_passes.quantization.coded import Form, IntegerWeights
from olivelike_passes.quantization.dynamic.graph_writer import GraphWriter

FLOAT = 1


def write_lookup(matrix: Matrix, writer: GraphWriter, weights: IntegerWeights, *, per_channel: bool) -> None:
    """Writes a look-up of codes in a node's place; `per_channel` gives every row a scale of its own, looked up beside it."""
    node = matrix.node
    rows, columns = (int(dim) for dim in matrix.tensor.dims)
    form = Form(
        rows,
        "rows" if per_channel else "none",
        (rows, columns),
        (0, 1),
        (rows,) if per_channel else (),
        columns=per_channel,
    )
    coded = weights.coded(matrix.tensor, form)
    output, places = node.output[0], node.input[1]
    codes = writer.add("Gather", [coded.codes, places], f"{output}_codes")
    if not per_channel:
        writer.finish(node, "DequantizeLinear", [codes, coded.scale, coded.zero_point])
        return
    real = writer.add("Cast", [codes], f"{output}_cast", to=FLOAT)
    if not weights.integers.symmetric or weights.integers.middle:
        zero = writer.add("Gather", [coded.zero_column, places], f"{output}_zeros")
        real = writer.add("Sub", [real, writer.add("Cast", [zero], f"{output}_zero", to=FLOAT)], f"{output}_shifted")
    scale = writer.add("Gather", [coded.scale_column, places], f"{output}_scales")
    writer.finish(node, "Mul", [real, scale])
