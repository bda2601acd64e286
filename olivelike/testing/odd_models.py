"""Odd but real ONNX models: what graph passes must do right or refuse, never get wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from olivelike.testing import models
from olivelike.testing.building import (
    OPSET,
    float_tensor,
    float_value,
    model_of,
    node_of,
    value_of,
    weight_of,
    whole_tensor,
)

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

Build: TypeAlias = "Callable[[], ModelProto]"
WIDTH = 16


def no_shapes() -> ModelProto:
    """Dimensions of which neither a number nor a name is known: `x` float32 [?, ?] to `y`, the same."""
    nodes = [node_of("Transpose", ["x"], ["t"], perm=[1, 0]), node_of("MatMul", ["x", "t"], ["y"])]
    model = model_of(nodes, [float_value("x", "a", "b")], [float_value("y", "a", "b")])
    for entry in (*model.graph.input, *model.graph.output):
        for dim in entry.type.tensor_type.shape.dim:
            dim.ClearField("dim_param")
    return model


def zero_size() -> ModelProto:
    """A weight and an output of no elements, joined to others that have some: `x` float32 [2, 4] to `y` and `none` [2, 0]."""
    nodes = [node_of("Concat", ["x", "empty"], ["y"], axis=1), node_of("Identity", ["empty"], ["none"])]
    outputs = [float_value("y", 2, 4), float_value("none", 2, 0)]
    return model_of(nodes, [float_value("x", 2, 4)], outputs, [float_tensor("empty", [[], []])])


def scalars() -> ModelProto:
    """Values of rank 0 all the way: `x` float32 [] to `y` []."""
    nodes = [node_of("Mul", ["x", "two"], ["m"]), node_of("Add", ["m", "one"], ["y"])]
    return model_of(nodes, [float_value("x")], [float_value("y")], [float_tensor("two", 2.0), float_tensor("one", 1.0)])


def sparse_weight() -> ModelProto:
    """A `Constant` that holds a sparse tensor: `x` float32 [batch, 16] to `y`, the same."""
    import onnx

    values = float_tensor("values", [0.5, -0.25])
    places = whole_tensor("places", [3, 40])
    sparse = onnx.helper.make_sparse_tensor(values, places, [WIDTH, WIDTH])
    nodes = [node_of("Constant", [], ["w"], sparse_value=sparse), node_of("MatMul", ["x", "w"], ["y"])]
    return model_of(nodes, [float_value("x", "batch", WIDTH)], [float_value("y", "batch", WIDTH)])


def sequences() -> ModelProto:
    """A sequence of tensors between two operators: `x` float32 [4, 16] to `y` [2, 16]."""
    nodes = [
        node_of("SplitToSequence", ["x", "halves"], ["parts"], axis=0),
        node_of("SequenceAt", ["parts", "first"], ["y"]),
    ]

    weights = [whole_tensor("halves", [2, 2]), whole_tensor("first", 1)]
    return model_of(nodes, [float_value("x", 4, WIDTH)], [float_value("y", 2, WIDTH)], weights)


def optionals() -> ModelProto:
    """An optional value between two operators (opset 18): `x` float32 [batch, 16] to `y`, the same."""
    nodes = [node_of("Optional", ["x"], ["maybe"]), node_of("OptionalGetElement", ["maybe"], ["y"])]
    return model_of(nodes, [float_value("x", "batch", WIDTH)], [float_value("y", "batch", WIDTH)], opset=18)


def nameless_nodes() -> ModelProto:
    """Nodes without names: `x` float32 [batch, 16] to `logits` float32 [batch, 4]."""
    model = models.mlp()
    for node in model.graph.node:
        node.ClearField("name")
    return model


def duplicate_names() -> ModelProto:
    """Nodes that share one name, which the specification lets pass and the runtime does not."""
    model = models.mlp()
    for node in model.graph.node:
        node.name = "same"
    return model


def output_is_input() -> ModelProto:
    """An output that is an input, with no node between: `x` float32 [batch, 16] to `y` [batch, 16] and `x`."""
    nodes = [node_of("Relu", ["x"], ["y"])]
    return model_of(
        nodes, [float_value("x", "batch", WIDTH)], [float_value("y", "batch", WIDTH), float_value("x", "batch", WIDTH)]
    )


def output_is_weight() -> ModelProto:
    """An output that is an initializer: `x` float32 [batch, 16] to `y`, the same, and `w` [16]."""
    nodes = [node_of("Add", ["x", "w"], ["y"])]
    outputs = [float_value("y", "batch", WIDTH), float_value("w", WIDTH)]
    return model_of(nodes, [float_value("x", "batch", WIDTH)], outputs, [weight_of("w", WIDTH)])


def unused_outputs() -> ModelProto:
    """Operators of which some outputs are taken by nobody, or have no name at all: `x` float32 [4, 16] to `y` [4, 8]."""
    nodes = [
        node_of("Split", ["x", "sizes"], ["half", "left_over"], axis=1),
        node_of("Dropout", ["half"], ["y", ""]),
        node_of("TopK", ["x", "one"], ["largest", "places"], axis=1),
        node_of("Cast", ["places"], ["nowhere"], to=1),
    ]
    weights = [whole_tensor("sizes", [8, 8]), whole_tensor("one", [1])]
    return model_of(nodes, [float_value("x", 4, 16)], [float_value("y", 4, 8)], weights)


def loop() -> ModelProto:
    """A `Loop` that reads a weight and a value of the graph around it: `x` float32 [batch, 16] to `y`, the same."""
    import onnx

    body = onnx.helper.make_graph(
        [
            node_of("MatMul", ["state", "w"], ["product"]),
            node_of("Add", ["product", "start"], ["next_state"]),
            node_of("Identity", ["go_on"], ["still"]),
        ],
        "body",
        [
            value_of("step", "INT64"),
            value_of("go_on", "BOOL"),
            float_value("state", "batch", WIDTH),
        ],
        [value_of("still", "BOOL"), float_value("next_state", "batch", WIDTH)],
    )
    nodes = [node_of("Relu", ["x"], ["start"]), node_of("Loop", ["times", "", "start"], ["y"], body=body)]
    weights = [weight_of("w", WIDTH, WIDTH), whole_tensor("times", 3)]
    return model_of(nodes, [float_value("x", "batch", WIDTH)], [float_value("y", "batch", WIDTH)], weights)


def shared_between_branches() -> ModelProto:
    """A weight of the main graph that both branches of an `If` read, and equal weights that each has for itself.

    `flag` bool [] and `x` float32 [batch, 16] to `y` float32 [batch, 16].
    """
    import onnx

    def branch(name: str, kind: str) -> GraphProto:
        nodes = [node_of("MatMul", ["x", "w"], [f"{name}_m"]), node_of(kind, [f"{name}_m", "own"], [f"{name}_y"])]
        return onnx.helper.make_graph(
            nodes, name, [], [float_value(f"{name}_y", "batch", WIDTH)], [weight_of("own", WIDTH)]
        )

    nodes = [node_of("If", ["flag"], ["y"], then_branch=branch("yes", "Add"), else_branch=branch("no", "Mul"))]
    inputs = [value_of("flag", "BOOL"), float_value("x", "batch", WIDTH)]
    return model_of(nodes, inputs, [float_value("y", "batch", WIDTH)], [weight_of("w", WIDTH, WIDTH)])


def same_names_in_branches() -> ModelProto:
    """Two branches that each call their values by the same names: `flag` bool [] and `x` float32 [batch, 16] to `y`."""
    import onnx

    def branch(name: str, kind: str) -> GraphProto:
        nodes = [node_of(kind, ["x"], ["inner"]), node_of("Neg", ["inner"], ["result"])]
        return onnx.helper.make_graph(nodes, name, [], [float_value("result", "batch", WIDTH)])

    nodes = [node_of("If", ["flag"], ["y"], then_branch=branch("yes", "Relu"), else_branch=branch("no", "Tanh"))]
    inputs = [value_of("flag", "BOOL"), float_value("x", "batch", WIDTH)]
    return model_of(nodes, inputs, [float_value("y", "batch", WIDTH)])


def hidden_names() -> ModelProto:
    """A loop with a weight of its own that hides a value of the main graph, of which it reads an equal one by another name.

    Who takes the two equal values for one must not let the loop read its own: `x` float32 [batch, 16] to `y`, the same.
    """
    import onnx

    body = onnx.helper.make_graph(
        [
            node_of("Identity", ["go_on"], ["still"]),
            node_of("Add", ["state", "other"], ["sum"]),
            node_of("Mul", ["sum", "one"], ["next_state"]),
        ],
        "body",
        [value_of("step", "INT64"), value_of("go_on", "BOOL"), float_value("state", "batch", 16)],
        [value_of("still", "BOOL"), float_value("next_state", "batch", 16)],
        [weight_of("one", 16)],
    )
    nodes = [
        node_of("Relu", ["x"], ["one"]),
        node_of("Relu", ["x"], ["other"]),
        node_of("Loop", ["times", "", "x"], ["looped"], body=body),
        node_of("Add", ["looped", "one"], ["y"]),
    ]
    inputs, outputs = ([float_value(name, "batch", 16)] for name in "xy")
    return model_of(nodes, inputs, outputs, [whole_tensor("times", 2)])


def sequence_output() -> ModelProto:
    """An output that is a sequence of tensors, beside one that is a tensor: `x` float32 [4, 16] to `parts` and `y`."""
    import onnx

    nodes = [node_of("SplitToSequence", ["x", "halves"], ["parts"], axis=0), node_of("Relu", ["x"], ["y"])]
    parts = onnx.helper.make_tensor_sequence_value_info("parts", onnx.TensorProto.FLOAT, [2, 16])
    return model_of(
        nodes, [float_value("x", 4, 16)], [parts, float_value("y", 4, 16)], [whole_tensor("halves", [2, 2])]
    )


def function() -> ModelProto:
    """An operator that the model defines itself, twice used: `x` float32 [batch, 16] to `y`, the same."""
    import onnx

    nodes = [node_of("Mul", ["a", "a"], ["b"]), node_of("Add", ["b", "a"], ["c"])]
    own = onnx.helper.make_function("own", "SquarePlus", ["a"], ["c"], nodes, [onnx.helper.make_opsetid("", OPSET)])
    calls = [node_of("SquarePlus", ["x"], ["m"], domain="own"), node_of("SquarePlus", ["m"], ["y"], domain="own")]
    model = model_of(calls, [float_value("x", "batch", WIDTH)], [float_value("y", "batch", WIDTH)])
    model.opset_import.add(domain="own", version=1)
    model.functions.append(own)
    return model


def training_mode() -> ModelProto:
    """`BatchNormalization` as it is while training, with its running statistics: `x` float32 [2, 4, 8] to `y`, the same."""
    weights = [
        weight_of("scale", 4),
        weight_of("shift", 4),
        float_tensor("mean", [0.0] * 4),
        float_tensor("spread", [1.0] * 4),
    ]
    names = ["x", "scale", "shift", "mean", "spread"]
    nodes = [node_of("BatchNormalization", names, ["y", "new_mean", "new_spread"], training_mode=1)]
    return model_of(nodes, [float_value("x", 2, 4, 8)], [float_value("y", 2, 4, 8)], weights)


def large_constant() -> ModelProto:
    """Two hundred megabytes, made of one number as the model runs, of which a few are used: `x` float32 [4] to `y` [4]."""

    nodes = [
        node_of("ConstantOfShape", ["size"], ["zeros"]),
        node_of("Slice", ["zeros", "start", "end"], ["few"]),
        node_of("Add", ["x", "few"], ["y"]),
    ]
    numbers = {"size": [50_000_000], "start": [0], "end": [4]}
    weights = [whole_tensor(name, values) for name, values in numbers.items()]
    return model_of(nodes, [float_value("x", 4)], [float_value("y", 4)], weights)


def cycle() -> ModelProto:
    """Two nodes that wait for each other: no model at all."""
    nodes = [node_of("Add", ["x", "b"], ["a"]), node_of("Relu", ["a"], ["b"]), node_of("Relu", ["a"], ["y"])]
    return model_of(nodes, [float_value("x", "batch", WIDTH)], [float_value("y", "batch", WIDTH)])


def duplicate_values() -> ModelProto:
    """Two nodes that give a value of the same name: no model at all."""
    nodes = [node_of("Relu", ["x"], ["a"]), node_of("Tanh", ["x"], ["a"]), node_of("Neg", ["a"], ["y"])]
    return model_of(nodes, [float_value("x", "batch", WIDTH)], [float_value("y", "batch", WIDTH)])


def dangling_input() -> ModelProto:
    """A node that reads a value which nobody makes: no model at all."""
    nodes = [node_of("Add", ["x", "nobody"], ["y"])]
    return model_of(nodes, [float_value("x", "batch", WIDTH)], [float_value("y", "batch", WIDTH)])


def unsorted() -> ModelProto:
    """Nodes that stand before what they read; the runtime sorts them, the specification forbids it."""
    model = models.mlp()
    nodes = list(model.graph.node)[::-1]
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    return model


RUNNABLE: Mapping[str, Build] = {
    "copies_input": models.copies_input,
    "function": function,
    "half": models.half,
    "hidden_names": hidden_names,
    "if": models.if_model,
    "large_constant": large_constant,
    "loop": loop,
    "nameless_nodes": nameless_nodes,
    "no_shapes": no_shapes,
    "old": lambda: models.mlp(opset=7),
    "optionals": optionals,
    "output_is_input": output_is_input,
    "output_is_weight": output_is_weight,
    "quantized": models.quantized,
    "repeated_opset": models.repeated_opset,
    "scalars": scalars,
    "sequences": sequences,
    "same_names_in_branches": same_names_in_branches,
    "sequence_output": sequence_output,
    "shared_between_branches": shared_between_branches,
    "sparse_weight": sparse_weight,
    "strings": models.string_input,
    "training_mode": training_mode,
    "unfolded": models.unfolded,
    "unsorted": unsorted,
    "unused_outputs": unused_outputs,
    "wasteful": models.wasteful,
    "weights_as_inputs": models.weights_as_inputs,
    "weights_as_inputs_ir3": lambda: models.weights_as_inputs(ir_version=3),
    "zero_size": zero_size,
}
"""Odd models that the runtime runs."""

UNRUNNABLE: Mapping[str, Build] = {
    "cycle": cycle,
    "dangling_input": dangling_input,
    "duplicate_names": duplicate_names,
    "duplicate_values": duplicate_values,
    "unknown_operator": models.unknown_operator,
}
"""Models that the runtime does not run, because they are broken or it lacks something."""
