"""Which values are known to be float32, from the constants and types around them; casts that change nothing."""

from __future__ import annotations

from olivelike_passes.graph.fusion.net import FLOAT, Net
from olivelike_passes.graph.fusion.nodes import whole

FAR = 16
SAME_TYPE = (
    *("Add", "Sub", "Mul", "Div", "MatMul", "Gemm", "Conv", "LayerNormalization", "RMSNormalization", "Transpose"),
    *("Concat", "Reshape", "Slice", "Expand", "Softmax", "Identity", "Squeeze", "Unsqueeze", "Split", "Neg", "Gather"),
    *("Cos", "Sin", "Pow", "Sqrt", "Reciprocal", "ReduceMean", "Tanh", "Sigmoid", "Erf", "Relu", "Gelu"),
)
"""Operators whose output has the type of the first input."""
MIXED = ("Gather", "Pow")
"""Those of them whose other inputs may have another type."""


def is_float(net: Net, value: str) -> bool:
    """Whether a value is known to be float32: a constant float32 is among what it is computed from, or its type is given."""
    for _ in range(FAR):
        tensor = net.constant(value)
        if tensor is not None:
            return bool(tensor.data_type == FLOAT)
        if net.declared_float(value) or net.is_fused(value):
            return True
        node = net.maker(value, *SAME_TYPE, "Cast")
        if node is None or node.op_type == "Cast":
            return node is not None and whole(node, "to", 0) == FLOAT
        constants = [net.constant(name) for name in node.input[1:] if node.op_type not in MIXED]
        if node.op_type not in ("Reshape", "Slice", "Expand") and any(
            tensor is not None and tensor.data_type == FLOAT for tensor in constants
        ):
            return True
        value = node.input[0]
    return False


def drop_casts(net: Net) -> None:
    """Takes out casts to float32 of what is float32, which TorchScript writes around normalizations."""
    for node in net.nodes("Cast"):
        if whole(node, "to", 0) == FLOAT and not net.is_output(node.output[0]) and is_float(net, node.input[0]):
            net.bypass(node)
