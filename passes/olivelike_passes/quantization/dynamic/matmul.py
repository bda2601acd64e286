"""`MatMul` and `Gemm` on integers, in the form that the runtime fuses (`DynamicQuantizeMatMul`, `MatMulIntegerToFloat`).

The runtime's fusions ask for `MatMulInteger`, then `Cast`, then a `Mul` whose other input is the `Mul` of both scales, then at
most an `Add` of a bias with one axis (onnxruntime/core/optimizer/matmul_integer_to_float.cc, dynamic_quantize_matmul_fusion.cc).
"""

from __future__ import annotations

from olivelike_passes.matrices import Matrix
from olivelike_passes.quantization.coded import Coded, Form, IntegerWeights
from olivelike_passes.quantization.dynamic.graph_writer import GraphWriter
from olivelike_passes.quantization.integers import Axis

FLOAT = 1


def write_product(
    matrix: Matrix, writer: GraphWriter, weights: IntegerWeights, *, per_channel: bool, tied: bool
) -> None:
    """Writes a product on integers in a node's place.

    Args:
        matrix: the weight and its node.
        writer: writes the nodes of its graph.
        weights: gives the weight its integer form.
        per_channel: a scale for each output.
        tied: whether the same codes serve for looking up rows: they lie as those want them, and are turned as the model loads.
    """
    node = matrix.node
    coded = weights.coded(matrix.tensor, product_form(matrix, per_channel=per_channel, tied=tied))
    codes = _turned(coded, matrix, writer) if tied else coded.codes
    given = writer.quantized(node.input[0])
    output = node.output[0]
    whole = writer.add("MatMulInteger", [given.codes, codes, given.zero_point, coded.zero_point], f"{output}_integer")
    real = writer.add("Cast", [whole], f"{output}_cast", to=FLOAT)
    scales = writer.add("Mul", [given.scale, coded.scale], f"{output}_scales")
    if len(node.input) > 2 and node.input[2]:
        scaled = writer.add("Mul", [real, scales], f"{output}_scaled")
        writer.finish(node, "Add", [scaled, node.input[2]])
    else:
        writer.finish(node, "Mul", [real, scales])


def product_form(matrix: Matrix, *, per_channel: bool, tied: bool) -> Form:
    """Returns how the weight of a product lies in the model: `[inputs, outputs]`, or as it was where it is tied."""
    rows, columns = (int(dim) for dim in matrix.tensor.dims)
    grid = (matrix.outputs,) if per_channel else ()
    if tied:
        return Form(rows, "rows" if per_channel else "none", (rows, columns), (0, 1), grid, columns=per_channel)
    turned = matrix.rows_are_outputs
    axis: Axis = "none" if not per_channel else "rows" if turned else "columns"
    return Form(rows, axis, (rows, columns), (1, 0) if turned else (0, 1), grid)


def _turned(coded: Coded, matrix: Matrix, writer: GraphWriter) -> str:
    return writer.add("Transpose", [coded.codes], f"{matrix.node.output[0]}_weight", perm=[1, 0])
