"""What models built in code are made of: nodes, values, weights drawn by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

    Floats = NDArray[np.float32]

OPSET = 17
IR_VERSION = 8


def model_of(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    weights: Sequence[TensorProto] = (),
    *,
    opset: int = OPSET,
    ir_version: int = IR_VERSION,
    ml: int = 0,
) -> ModelProto:
    """Returns a model of one graph; `ml` is the version of `ai.onnx.ml` that it imports, 0 for none."""
    import onnx

    graph = onnx.helper.make_graph(nodes, "tiny", inputs, outputs, weights)
    imports = [onnx.helper.make_opsetid("", opset)] + ([onnx.helper.make_opsetid("ai.onnx.ml", ml)] if ml else [])
    return onnx.helper.make_model(
        graph, opset_imports=imports, ir_version=ir_version, producer_name="olivelike.testing"
    )


def node_of(
    kind: str, inputs: Sequence[str], outputs: Sequence[str], *, domain: str = "", **attributes: object
) -> NodeProto:
    """Returns a node named after its type and its first output that has a name."""
    import onnx

    node = onnx.helper.make_node(kind, inputs, outputs, name=f"{kind}_{next(filter(None, outputs))}", domain=domain)
    node.attribute.extend(onnx.helper.make_attribute(name, value) for name, value in attributes.items())
    return node


def float_value(name: str, *shape: int | str) -> ValueInfoProto:
    """Returns an input or output of float32."""
    import onnx

    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def weight_of(name: str, *shape: int) -> TensorProto:
    """Returns a float32 weight whose values depend on its name and shape alone."""
    import onnx

    return onnx.numpy_helper.from_array(random_values(name, *shape), name)


def float_tensor(name: str, values: float | Sequence[float] | Sequence[Sequence[float]]) -> TensorProto:
    """Returns a float32 tensor of the values given."""
    import onnx

    return onnx.numpy_helper.from_array(_array(values, "float32"), name)


def random_values(name: str, *shape: int) -> Floats:
    """Returns normal values that depend on name and shape alone, scaled so that activations keep their size."""
    import numpy as np

    # Seeded by name and scaled by the fan-in, so that activations keep their size from layer to layer.
    draws = np.random.default_rng(list(name.encode())).standard_normal(shape)
    fan_in = max(1, draws.size // max(shape[0 if len(shape) > 2 else -1], 1))
    scaled: Floats = (draws / fan_in**0.5).astype(np.float32)
    return scaled


def _array(values: float | Sequence[float] | Sequence[Sequence[float]], dtype: str) -> NDArray[np.generic]:
    import numpy as np

    return np.asarray(values, dtype)


def whole_tensor(name: str, values: int | Sequence[int]) -> TensorProto:
    """Returns an int64 tensor of the values given."""
    import onnx

    return onnx.numpy_helper.from_array(_array(values, "int64"), name)


def value_of(name: str, kind: str, *shape: int | str) -> ValueInfoProto:
    """Returns an input or output of an element type as ONNX writes it (`INT64`)."""
    import onnx

    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DataType.Value(kind), shape)
