"""Tests of the pass `channels_last`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest

from olivelike.digest import Json
from olivelike.onnxfile.read import read_structure, signature
from olivelike.testing import models, odd_models
from olivelike.testing.building import float_tensor, float_value, model_of, node_of, weight_of
from olivelike.testing.context import run_model
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal
from olivelike_passes.graph.channels_last import ChannelsLast
from tests.passes.running import applied, artifact

LAST, FIRST = [0, 2, 3, 1], [0, 3, 1, 2]


def ops(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def images(nodes: Sequence[onnx.NodeProto], last: bool = False, opset: int = 17) -> onnx.ModelProto:
    """Nodes from `x` [2, 3, 4, 5] to `y`, the same, or with its channels last."""
    shape = (2, 4, 5, 3) if last else (2, 3, 4, 5)
    weights = [weight_of("c", 3, 1, 1), weight_of("k", 3, 3, 1, 1), float_tensor("two", 2.0), float_tensor("six", 6.0)]
    used = [tensor for tensor in weights if any(tensor.name in node.input for node in nodes)]
    return model_of(nodes, [float_value("x", 2, 3, 4, 5)], [float_value("y", *shape)], used, opset=opset)


def segmentation() -> onnx.ModelProto:
    return images([node_of("Relu", ["x"], ["r"]), node_of("Conv", ["r", "k"], ["m"]), node_of("Sigmoid", ["m"], ["y"])])


def turned(model: onnx.ModelProto, folder: Path, **settings: Json) -> onnx.ModelProto:
    """Applies the pass to a model of `images` and checks that it gives the same, turned where it is."""
    before = artifact(model, folder)
    made = applied(ChannelsLast, model, folder / "made", **settings)
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    expected = run_model(before.model, {"x": x})["y"]
    notes = made.manifest.notes["channels_last"]
    assert isinstance(notes, dict)
    feeds = {"x": x.transpose(LAST) if notes["inputs"] else x}
    got = run_model(made.model, feeds)["y"]
    np.testing.assert_array_equal(got, expected.transpose(LAST) if notes["outputs"] else expected)
    return read_structure(made.model)


class TestChannelsLast(GraphPassContract):
    pass_type = ChannelsLast
    configs = ({},)
    keeps_signature = False
    accepted: ClassVar = {"conv": models.conv_net, "segmentation": segmentation}
    refused: ClassVar = {
        "no image": Refusal(models.mlp, "no operator on images"),
        "no such input": Refusal(models.conv_net, "no input 'imag': did you mean image?", {"inputs": ["imag"]}),
        "no such output": Refusal(models.conv_net, "no output 'y'", {"outputs": ["y"]}),
        "a matrix": Refusal(models.mlp, "'x' has rank 2", {"inputs": ["x"]}),
        "an output as well": Refusal(
            lambda: model_of([node_of("Relu", ["x"], ["y"])], [float_value("x", 1, 2, 3)], [float_value("x", 1, 2, 3)]),
            "is an output as well",
            {"inputs": ["x"]},
        ),
    }


def test_an_image_comes_with_its_channels_last(tmp_path: Path) -> None:
    made = applied(ChannelsLast, models.conv_net(), tmp_path)
    [image] = signature(made.model).inputs
    assert (image.name, image.shape) == ("image", ("batch", 8, 8, 1))
    assert ops(read_structure(made.model))[:2] == ["Transpose", "Conv"]


def test_input_and_output_are_found_behind_operators_on_single_elements(tmp_path: Path) -> None:
    assert ops(turned(segmentation(), tmp_path)) == ["Transpose", "Relu", "Conv", "Sigmoid", "Transpose"]


def test_only_what_is_named_is_turned(tmp_path: Path) -> None:
    assert ops(turned(segmentation(), tmp_path / "in", inputs=["x"])) == ["Transpose", "Relu", "Conv", "Sigmoid"]
    assert ops(turned(segmentation(), tmp_path / "out", outputs=["y"])) == ["Relu", "Conv", "Sigmoid", "Transpose"]


def test_transposes_that_undo_each_other_go_and_constants_are_turned(tmp_path: Path) -> None:
    nodes = [
        node_of("Sub", ["x", "c"], ["a"]),
        node_of("Div", ["a", "two"], ["b"]),
        node_of("Clip", ["b", "two", "six"], ["d"]),
        node_of("Transpose", ["d"], ["e"], perm=LAST),
        node_of("Relu", ["e"], ["y"]),
    ]
    made = turned(images(nodes, last=True), tmp_path, inputs=["x"])
    assert ops(made) == ["Sub", "Div", "Clip", "Relu"]
    assert {tensor.name: list(tensor.dims) for tensor in made.graph.initializer}["c_channels_last"] == [1, 1, 1, 3]


def test_turned_constants_are_inputs_too_where_the_format_asks_for_it(tmp_path: Path) -> None:
    nodes = [node_of("Sub", ["x", "c"], ["a"]), node_of("Transpose", ["a"], ["y"], perm=LAST)]
    model = images(nodes, last=True)
    model.ir_version = 3
    model.graph.input.append(float_value("c", 3, 1, 1))
    made = turned(model, tmp_path, inputs=["x"])
    assert {tensor.name for tensor in made.graph.initializer} < {entry.name for entry in made.graph.input}


def test_transposes_above_an_output_go(tmp_path: Path) -> None:
    nodes = [
        node_of("Transpose", ["x"], ["a"], perm=LAST),
        node_of("Relu", ["a"], ["b"]),
        node_of("Transpose", ["b"], ["d"], perm=FIRST),
        node_of("Mul", ["d", "c"], ["y"]),
    ]
    assert ops(turned(images(nodes), tmp_path / "out", outputs=["y"])) == ["Transpose", "Relu", "Mul"]
    assert ops(turned(images(nodes), tmp_path / "both", inputs=["x"], outputs=["y"])) == ["Relu", "Mul"]


def test_a_chain_of_single_elements_needs_no_transpose_at_all(tmp_path: Path) -> None:
    assert ops(turned(images([node_of("Neg", ["x"], ["y"])]), tmp_path, inputs=["x"], outputs=["y"])) == ["Neg"]


def test_two_transposes_that_do_not_undo_each_other_become_one(tmp_path: Path) -> None:
    nodes = [node_of("Relu", ["x"], ["a"]), node_of("Transpose", ["a"], ["b"], perm=[0, 3, 2, 1])]
    nodes.append(node_of("Transpose", ["b"], ["y"], perm=[0, 3, 2, 1]))
    made = turned(images(nodes), tmp_path, inputs=["x"])
    assert ops(made).count("Transpose") == 2


def test_an_input_that_goes_straight_into_its_transpose_and_elsewhere(tmp_path: Path) -> None:
    nodes = [
        node_of("Transpose", ["x"], ["a"], perm=LAST),
        node_of("Transpose", ["a"], ["b"], perm=FIRST),
        node_of("Add", ["x", "b"], ["y"]),
    ]
    assert ops(turned(images(nodes), tmp_path, inputs=["x"])) == ["Transpose", "Transpose", "Add"]


def test_an_input_that_is_handed_to_the_output_stays_a_value_of_its_own(tmp_path: Path) -> None:
    made = turned(images([node_of("Transpose", ["x"], ["y"], perm=LAST)], last=True), tmp_path, inputs=["x"])
    assert ops(made) == ["Identity"]


@pytest.mark.parametrize(
    "between",
    [
        [node_of("Softmax", ["x"], ["a"], axis=1)],
        [node_of("Add", ["x", "x"], ["a"])],
        [node_of("Relu", ["x"], ["r"]), node_of("Add", ["r", "x"], ["a"])],
    ],
)
def test_what_is_no_chain_of_single_elements_keeps_its_transposes(
    between: list[onnx.NodeProto], tmp_path: Path
) -> None:
    nodes = [*between, node_of("Transpose", ["a"], ["y"], perm=LAST)]
    assert ops(turned(images(nodes, last=True), tmp_path, inputs=["x"])).count("Transpose") == 2


def test_declared_shapes_of_what_is_turned_are_not_left_behind(tmp_path: Path) -> None:
    nodes = [node_of("Relu", ["x"], ["a"]), node_of("Transpose", ["a"], ["y"], perm=LAST)]
    model = images(nodes, last=True)
    model.graph.value_info.append(float_value("a", 2, 3, 4, 5))
    assert not turned(model, tmp_path, inputs=["x"]).graph.value_info


def test_sequences_and_volumes_are_turned_where_they_are_named(tmp_path: Path) -> None:
    for shape, last in (((2, 3, 4), (2, 4, 3)), ((1, 2, 3, 4, 5), (1, 3, 4, 5, 2))):
        model = model_of(
            [node_of("Softmax", ["x"], ["y"], axis=1)], [float_value("x", *shape)], [float_value("y", *shape)]
        )
        made = applied(ChannelsLast, model, tmp_path / str(len(shape)), inputs=["x"], outputs=["y"])
        assert [value.shape for value in signature(made.model).inputs] == [last]
        x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        got = run_model(made.model, {"x": np.moveaxis(x, 1, -1)})["y"]
        expected = np.exp(x - x.max(1, keepdims=True)) / np.exp(x - x.max(1, keepdims=True)).sum(1, keepdims=True)
        np.testing.assert_allclose(got, np.moveaxis(expected, 1, -1), rtol=1e-6)  # float32 sums of a few terms


def test_branches_read_the_input_as_it_was(tmp_path: Path) -> None:
    model = odd_models.same_names_in_branches()
    for entry in (*model.graph.input[1:], *model.graph.output):
        entry.CopyFrom(float_value(entry.name, 2, 3, 4, 5))
    for attribute in model.graph.node[0].attribute:
        attribute.g.output[0].CopyFrom(float_value("result", 2, 3, 4, 5))
    made = applied(ChannelsLast, model, tmp_path, inputs=["x"])
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    got = run_model(made.model, {"x": x.transpose(LAST), "flag": np.array(True)})["y"]
    np.testing.assert_array_equal(got, -np.maximum(x, 0))


def test_many_transposes_on_one_input_go_at_once(tmp_path: Path) -> None:
    turned = [node_of("Transpose", ["x"], [f"t{each}"], perm=[0, 2, 3, 1]) for each in range(300)]
    relus = [node_of("Relu", [f"t{each}"], [f"r{each}"]) for each in range(300)]
    total = node_of("Sum", [f"r{each}" for each in range(300)], ["y"])
    ends = [float_value("x", 1, 3, 4, 5)], [float_value("y", 1, 4, 5, 3)]
    result = applied(ChannelsLast, model_of([*turned, *relus, total], *ends), tmp_path, inputs=["x"])
    assert ops(read_structure(result.model)) == ["Relu"] * 300 + ["Sum"]
