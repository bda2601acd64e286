"""A model's weights: which are constants, which are inputs as well and may be replaced, `Constant` nodes as initializers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.walk import graphs
from olivelike_passes.header import replace_all

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

FREE_WEIGHTS_IR = 4
"""From this IR version on initializers need not be inputs, and those that are may be replaced at run time."""
WEIGHTS_ARE_INPUTS = (
    "the model's weights are inputs as well, so they may be replaced: put `simplify: {fix_weights: true}` before it"
)


def lift_constants(model: ModelProto) -> None:
    """Turns every `Constant` node that holds a tensor into an initializer of its graph, under the same name."""
    for graph in graphs(model):
        outputs = {output.name for output in graph.output}
        kept = []
        for node in graph.node:
            value = next((a for a in node.attribute if a.name == "value"), None)
            if node.op_type != "Constant" or value is None or node.output[0] in outputs:
                kept.append(node)
                continue
            value.t.name = node.output[0]
            graph.initializer.append(value.t)
        if len(kept) < len(graph.node):
            replace_all(graph.node, kept)


def free_weights(model: ModelProto) -> None:
    """Raises an IR version below 4 to 4, where weights no longer have to be inputs, and takes them off the inputs."""
    if model.ir_version < FREE_WEIGHTS_IR:
        model.ir_version = FREE_WEIGHTS_IR
        weights_off_inputs(model)


def add_weight(model: ModelProto, tensor: TensorProto) -> None:
    """Adds an initializer to the main graph; where the IR version asks for it, as an input too."""
    import onnx

    model.graph.initializer.append(tensor)
    if model.ir_version < FREE_WEIGHTS_IR:
        model.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))


def weights_off_inputs(model: ModelProto) -> None:
    """Takes initializers off the main graph's list of inputs, so that they are constants."""
    held = {tensor.name for tensor in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in held]
    del model.graph.input[:]
    model.graph.input.extend(inputs)


def replaceable_weights(model: ModelProto) -> frozenset[str]:
    """Returns the initializers that may be replaced at run time, because they are inputs as well (IR version 4 on)."""
    if model.ir_version < FREE_WEIGHTS_IR:
        return frozenset()
    return frozenset(t.name for t in model.graph.initializer) & frozenset(entry.name for entry in model.graph.input)


def refuse_unless_finite(model: ModelProto) -> None:
    """Refuses a model with a weight that holds NaN or an infinity, from which no scale can be taken.

    Raises:
        RefusedError: OL301, with the weight's name.
    """
    import numpy as np
    from onnx import TensorProto, numpy_helper

    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and not np.isfinite(numpy_helper.to_array(tensor)).all():
            claim = f"the weight {tensor.name!r} holds NaN or an infinity, from which no scale can be taken"
            raise fail(RefusedError, "OL301", claim, hint="mend the model where it was trained")


def float_constants(model: ModelProto) -> frozenset[str]:
    """Returns the main graph's float32 initializers, and outputs of `Constant` nodes that hold a float32 tensor."""
    from onnx import TensorProto

    found = {tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT}
    for node in model.graph.node:
        if node.op_type == "Constant" and any(a.t.data_type == TensorProto.FLOAT for a in node.attribute):
            found.add(node.output[0])
    return frozenset(found)
