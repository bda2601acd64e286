"""Sizes that are fixed become constants; a size that is not stays read."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from olivelike.onnxfile.wiring import tidy
from olivelike.testing.building import float_value, model_of, node_of, value_of, whole_tensor
from olivelike_passes.graph.known_shapes import use_known_shapes


def sizes_read(*shape: int | str, opset: int = 17, **bounds: int) -> onnx.ModelProto:
    """The last size by `Slice`, the second by `Gather` with a scalar, both of `x`."""
    nodes = [
        node_of("Shape", ["x"], ["shape"], **bounds),
        node_of("Slice", ["shape", "last", "far"], ["sliced"]),
        node_of("Gather", ["shape", "second"], ["gathered"]),
    ]
    weights = [whole_tensor("last", [-1]), whole_tensor("far", [2**62]), whole_tensor("second", 1)]
    nodes += [node_of("Identity", [each], [f"{each}_out"]) for each in ("sliced", "gathered")]
    outputs = [value_of("sliced_out", "INT64", 1), value_of("gathered_out", "INT64")]
    return model_of(nodes, [float_value("x", *shape)], outputs, weights, opset=opset)


def constants(model: onnx.ModelProto) -> dict[str, object]:
    return {
        node.output[0]: onnx.numpy_helper.to_array(node.attribute[0].t).tolist()
        for node in model.graph.node
        if node.op_type == "Constant"
    }


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        (("batch", 7, 64), {"sliced": [64], "gathered": 7}),
        (("batch", "length", 64), {"sliced": [64]}),
        (("batch", 7, "width"), {"gathered": 7}),
        (("batch", "length", "width"), {}),
    ],
)
def test_only_fixed_sizes_become_constants(shape: tuple[int | str, ...], found: dict[str, object]) -> None:
    model = sizes_read(*shape)
    use_known_shapes(model)
    assert constants(model) == found


def test_a_shape_of_a_part_of_the_dimensions_is_counted_from_its_start() -> None:
    model = sizes_read("batch", 7, 64, start=1)
    use_known_shapes(model)
    assert constants(model) == {"sliced": [64], "gathered": 64}


def test_what_a_model_says_of_its_inner_values_is_not_trusted() -> None:
    model = sizes_read("batch", "length", "width")
    model.graph.node.insert(0, node_of("Relu", ["x"], ["r"]))
    model.graph.node[1].input[0] = "r"
    model.graph.value_info.append(float_value("r", 2, 3, 4))
    use_known_shapes(model)
    assert constants(model) == {}


def test_a_shape_put_together_of_constants_and_sizes_tells_the_constants() -> None:
    nodes = [
        node_of("Shape", ["x"], ["rows"], end=1),
        node_of("Concat", ["rows", "rest"], ["asked"], axis=0),
        node_of("Reshape", ["x", "asked"], ["parted"]),
        node_of("Shape", ["parted"], ["shape"]),
        node_of("Gather", ["shape", "two"], ["heads"]),
        node_of("Gather", ["shape", "one"], ["length"]),
        node_of("Concat", ["heads", "length"], ["y"], axis=0),
    ]
    weights = [whole_tensor("rest", [-1, 4]), whole_tensor("two", [2]), whole_tensor("one", [1])]
    model = model_of(nodes, [float_value("x", "batch", 16)], [value_of("y", "INT64", 2)], weights)
    use_known_shapes(model)
    assert constants(model) == {"heads": [4]}


@pytest.mark.parametrize(
    ("inner", "outer", "joined"), [([0, 1], [3], [0, 1, 3]), ([0], [0], [0, 1]), ([2], [0, 1], [0, 1, 4])]
)
def test_axes_added_twice_are_added_at_once(inner: list[int], outer: list[int], joined: list[int]) -> None:
    nodes = [node_of("Unsqueeze", ["x", "inner"], ["m"]), node_of("Unsqueeze", ["m", "outer"], ["y"])]
    weights = [whole_tensor("inner", inner), whole_tensor("outer", outer)]
    rank = 2 + len(inner) + len(outer)
    model = model_of(nodes, [float_value("x", 3, 5)], [float_value("y", *map(str, range(rank)))], weights)
    expected = ReferenceEvaluator(model).run(None, {"x": np.zeros((3, 5), np.float32)})[0].shape
    use_known_shapes(model)
    tidy(model.graph)
    [node] = model.graph.node
    axes = next(tensor for tensor in model.graph.initializer if tensor.name == node.input[1])
    assert onnx.numpy_helper.to_array(axes).tolist() == joined
    assert ReferenceEvaluator(model).run(None, {"x": np.zeros((3, 5), np.float32)})[0].shape == expected


def test_axes_counted_from_the_end_are_left_alone() -> None:
    nodes = [node_of("Unsqueeze", ["x", "inner"], ["m"]), node_of("Unsqueeze", ["m", "outer"], ["y"])]
    weights = [whole_tensor("inner", [-1]), whole_tensor("outer", [0])]
    model = model_of(nodes, [float_value("x", 3)], [float_value("y", 1, 3, 1)], weights)
    before = model.SerializeToString()
    use_known_shapes(model)
    assert model.SerializeToString() == before


def test_a_size_that_went_through_a_truth_value_is_not_known() -> None:
    nodes = [
        node_of("Shape", ["x"], ["sizes"]),
        node_of("Gather", ["sizes", "zero"], ["size"]),
        node_of("Cast", ["size"], ["any"], to=onnx.TensorProto.BOOL),
        node_of("Cast", ["any"], ["one"], to=onnx.TensorProto.INT64),
        node_of("Concat", ["one", "rest"], ["asked"], axis=0),
        node_of("Reshape", ["x", "asked"], ["parted"]),
        node_of("Shape", ["parted"], ["shape"]),
        node_of("Gather", ["shape", "zero"], ["y"]),
    ]
    weights = [whole_tensor("rest", [-1]), whole_tensor("zero", [0])]
    model = model_of(nodes, [float_value("x", 3, 4)], [value_of("y_out", "INT64", 1)], weights)
    model.graph.node.append(node_of("Identity", ["y"], ["y_out"]))
    use_known_shapes(model)
    assert constants(model).get("y") != [3]


def test_a_slice_without_bounds_and_axes_that_add_nothing_are_left_alone() -> None:
    nodes = [
        node_of("Shape", ["x"], ["shape"]),
        node_of("Slice", ["shape", "none", "none"], ["sliced"]),
        node_of("Identity", ["sliced"], ["y"]),
        node_of("Unsqueeze", ["x", "none"], ["same"]),
        node_of("Unsqueeze", ["same", "none"], ["z"]),
    ]
    outputs = [value_of("y", "INT64", 2), float_value("z", 3, 4)]
    model = model_of(nodes, [float_value("x", 3, 4)], outputs, [whole_tensor("none", [])])
    before = model.SerializeToString()
    use_known_shapes(model)
    assert model.SerializeToString() == before
