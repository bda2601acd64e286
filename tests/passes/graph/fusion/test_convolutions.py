"""Tests of convolutions that `fuse` puts together with their activation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from olivelike.testing.building import float_tensor, float_value, model_of, node_of, value_of, weight_of
from olivelike.testing.context import run_model
from olivelike.testing.models import save
from olivelike_passes.graph.fuse import Fuse
from olivelike_passes.graph.simplify import Simplify
from tests.passes.running import applied, kinds

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

    from olivelike.contracts.artifact import Artifact

CLOSE = 1e-6
"""The kernel computes what the two did, with the activation after each tile: at most the last digit may differ."""


def conv_with(
    activation: NodeProto, *weights: TensorProto, images: int = 2, opset: int = 13, **given: object
) -> ModelProto:
    """A convolution of `x` [batch, 4, 6, ...] to 8 channels as `c`, and the activation that makes `y`."""
    space = [f"s{axis}" for axis in range(images)]
    conv = node_of("Conv", ["x", "w", "b"], ["c"], **given)
    groups = int(str(given.get("group", 1)))
    held = [weight_of("w", 8, 4 // groups, *[3] * images), weight_of("b", 8), *weights]
    ends = [float_value("x", "batch", 4, *[6] * images), float_value("y", "batch", 8, *space)]
    return model_of([conv, activation], ends[:1], ends[1:], held, opset=opset, ir_version=8)


def fused(model: ModelProto, folder: Path, *, batch: int = 2) -> ModelProto:
    """Returns what the pass makes of a model, having compared the outputs."""
    result = _applied(model, folder)
    shape = [dim.dim_value or batch for dim in model.graph.input[0].type.tensor_type.shape.dim]
    feeds = {"x": 3 * np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
    before, after = run_model(save(model, folder / "before"), feeds)["y"], run_model(result.model, feeds)["y"]
    assert before.shape == after.shape
    assert not before.size or float(np.abs(before - after).max()) <= CLOSE
    return onnx.load(result.model)


def _applied(model: ModelProto, folder: Path) -> Artifact:
    return applied(Fuse, model, folder, kinds=["conv_activation"])


BOUNDS = (float_tensor("low", -0.5), float_tensor("high", 0.7))
CASES = {
    "relu": (node_of("Relu", ["c"], ["y"]), (), None),
    "tanh": (node_of("Tanh", ["c"], ["y"]), (), None),
    "sigmoid": (node_of("Sigmoid", ["c"], ["y"]), (), None),
    "leaky": (node_of("LeakyRelu", ["c"], ["y"]), (), [0.01]),
    "leaky, steep": (node_of("LeakyRelu", ["c"], ["y"], alpha=2.0), (), [2.0]),
    "leaky, falling": (node_of("LeakyRelu", ["c"], ["y"], alpha=-1.0), (), [-1.0]),
    "hard": (node_of("HardSigmoid", ["c"], ["y"]), (), [0.2, 0.5]),
    "hard, steep": (node_of("HardSigmoid", ["c"], ["y"], alpha=0.5, beta=0.1), (), [0.5, 0.1]),
    "clip": (node_of("Clip", ["c", "low", "high"], ["y"]), BOUNDS, [-0.5, 0.7]),
    "clip from below": (node_of("Clip", ["c", "low"], ["y"]), BOUNDS[:1], [-0.5, 3.4028234663852886e38]),
    "clip from above": (node_of("Clip", ["c", "", "high"], ["y"]), BOUNDS[1:], [-3.4028234663852886e38, 0.7]),
}


@pytest.mark.parametrize(("activation", "weights", "numbers"), CASES.values(), ids=list(CASES))
def test_activation_is_applied_by_the_convolution_with_its_parameters(
    activation: NodeProto, weights: tuple[TensorProto, ...], numbers: list[float] | None, tmp_path: Path
) -> None:
    (node,) = fused(conv_with(activation, *weights), tmp_path).graph.node
    found = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
    assert (node.op_type, node.domain, list(node.input)) == ("FusedConv", "com.microsoft", ["x", "w", "b"])
    assert found["activation"].decode() == activation.op_type
    assert found.get("activation_params") == (None if numbers is None else pytest.approx(numbers))


@pytest.mark.parametrize("images", [1, 2, 3])
@pytest.mark.parametrize(
    "given",
    [
        {"dilations": 2, "pads": 2},
        {"strides": 2, "auto_pad": "SAME_UPPER"},
        {"strides": 2, "auto_pad": "SAME_LOWER"},
        {"group": 2, "auto_pad": "VALID"},
        {"group": 4, "kernel_shape": 3},
    ],
    ids=str,
)
def test_convolution_keeps_its_groups_dilations_and_padding(
    images: int, given: dict[str, int | str], tmp_path: Path
) -> None:
    times = {"pads": 2 * images, "dilations": images, "strides": images, "kernel_shape": images}
    whole = {name: [value] * times[name] if name in times else value for name, value in given.items()}
    model = fused(conv_with(node_of("Relu", ["c"], ["y"]), images=images, **whole), tmp_path)
    assert [node.op_type for node in model.graph.node] == ["FusedConv"]


def test_bounds_are_attributes_before_opset_11(tmp_path: Path) -> None:
    model = fused(conv_with(node_of("Clip", ["c"], ["y"], min=-0.25, max=0.5), opset=10), tmp_path)
    assert [node.op_type for node in model.graph.node] == ["FusedConv"]


def test_batch_of_no_images_comes_out_as_before(tmp_path: Path) -> None:
    fused(conv_with(node_of("Relu", ["c"], ["y"])), tmp_path, batch=0)


@pytest.mark.parametrize("case", ["shown", "taken twice", "crossed bounds", "bound from outside", "bound of itself"])
def test_what_differs_is_left_alone(case: str, tmp_path: Path) -> None:
    model = conv_with(node_of("Clip", ["c", "low", "high"], ["y"]), *BOUNDS)
    graph = model.graph
    match case:
        case "shown":
            graph.output.append(float_value("c", "batch", 8, "s0", "s1"))
        case "taken twice":
            graph.node.append(node_of("Abs", ["c"], ["z"]))
            graph.output.append(float_value("z", "batch", 8, "s0", "s1"))
        case "crossed bounds":
            graph.initializer[2].CopyFrom(float_tensor("low", 1.5))
        case "bound from outside":
            graph.input.append(float_value("low"))
        case _:
            del graph.node[1]
            graph.node.append(node_of("Clip", ["z", "c0"], ["y"]))
            graph.node.insert(1, node_of("ReduceMax", ["c"], ["c0"], keepdims=0))
            graph.initializer.append(float_tensor("z", [[[[0.0]]]]))  # type: ignore[list-item]
    with pytest.raises(Exception, match="nothing in the model matches a pattern of conv_activation"):
        _applied(model, tmp_path)


def test_half_precision_is_left_alone_and_named(tmp_path: Path) -> None:
    model = conv_with(node_of("Relu", ["c"], ["y"]))
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    for name, entry in (("x", model.graph.input[0]), ("y", model.graph.output[0])):
        shape = [dim.dim_value or dim.dim_param for dim in entry.type.tensor_type.shape.dim]
        entry.CopyFrom(value_of(name, "FLOAT16", *shape))
    with pytest.raises(Exception, match="1 times a convolution with an activation that is not known to be of float32"):
        _applied(model, tmp_path)


def normalized() -> ModelProto:
    """A convolution, its batch normalization and the activation of that."""
    model = conv_with(node_of("Relu", ["n"], ["y"]))
    statistics = ["scale", "shift", "mean", "variance"]
    model.graph.node.insert(1, node_of("BatchNormalization", ["c", *statistics], ["n"]))
    model.graph.initializer.extend([weight_of(name, 8) for name in statistics[:3]])
    model.graph.initializer.append(float_tensor("variance", [0.5 + place for place in range(8)]))
    return model


def test_convolution_with_its_normalization_and_activation_is_one_operator_after_simplify(tmp_path: Path) -> None:
    simplified = applied(Simplify, normalized(), tmp_path / "simplify")
    result = applied(Fuse, onnx.load(simplified.model), tmp_path / "fuse", kinds=["conv_activation"])
    assert kinds(onnx.load(result.model)) == {"FusedConv": 1}
    feeds = {"x": np.random.default_rng(0).standard_normal((2, 4, 6, 6)).astype(np.float32)}
    before, after = run_model(save(normalized(), tmp_path / "before"), feeds), run_model(result.model, feeds)
    assert float(np.abs(before["y"] - after["y"]).max()) <= 1e-5  # folded weights round once more


def test_normalization_that_was_not_folded_is_named_with_what_folds_it(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="1 times a convolution with a BatchNormalization after it: simplify before"):
        _applied(normalized(), tmp_path)
