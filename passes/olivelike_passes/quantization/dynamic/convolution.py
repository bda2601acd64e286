"""`Conv` on integers: `ConvInteger`, scaled back afterwards, its bias added."""

from __future__ import annotations

from olivelike.onnxfile.walk import HOLD_GRAPHS
from olivelike_passes.quantization.coded import Form, IntegerWeights
from olivelike_passes.quantization.dynamic.found import Found
from olivelike_passes.quantization.dynamic.graph_writer import GraphWriter

FLOAT = 1


def write_convolution(found: Found, writer: GraphWriter, weights: IntegerWeights, *, per_channel: bool) -> None:
    """Writes a convolution on integers in a node's place; the runtime takes one zero point for all of a weight."""
    import onnx

    node, weight = found.node, found.weights[1]
    dims = tuple(int(dim) for dim in weight.dims)
    ones = (1,) * (len(dims) - 2)
    separate = per_channel and weights.integers.symmetric
    form = Form(
        dims[0],
        "rows" if separate else "none",
        dims,
        tuple(range(len(dims))),
        (dims[0], *ones) if separate else (),
        one_zero=True,
    )
    coded = weights.coded(weight, form)
    given = writer.quantized(node.input[0])
    output = node.output[0]
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute if a.type not in HOLD_GRAPHS}
    inputs = [given.codes, coded.codes, given.zero_point, coded.zero_point]
    whole = writer.add("ConvInteger", inputs, f"{output}_integer", **attributes)
    real = writer.add("Cast", [whole], f"{output}_cast", to=FLOAT)
    scales = writer.add("Mul", [given.scale, coded.scale], f"{output}_scales")
    if 2 in found.weights:
        scaled = writer.add("Mul", [real, scales], f"{output}_scaled")
        writer.finish(node, "Add", [scaled, weights.reshaped(found.weights[2], (dims[0], *ones))])
    else:
        writer.finish(node, "Mul", [real, scales])
