"""Tests of the pass `static_quant`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
from pydantic import ValidationError

from olivelike.errors import RefusedError
from olivelike.onnxfile.read import opset as opset_of
from olivelike.onnxfile.read import read_structure
from olivelike.testing import models
from olivelike.testing.building import float_value, model_of, node_of, random_values, weight_of
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal
from olivelike_passes.quantization.static_quant import StaticQuant, StaticQuantConfig
from tests.passes.running import applied, kinds

DATA = {"data": "data"}
Build = Callable[[], onnx.ModelProto]


class Reader(CalibrationDataReader):
    """Gives the runtime's quantizer the data that `applied` calibrates on."""

    def __init__(self, path: Path) -> None:
        self._feeds = iter([feeds_for(path, seed=1, batch=16)])

    def get_next(self) -> object:
        return next(self._feeds, None)


def wide_layers() -> onnx.ModelProto:
    """Two products with weights above 4 KiB: `x` float32 [batch, 64] to `y` float32 [batch, 32]."""
    nodes = [
        node_of("MatMul", ["x", "w0"], ["m"]),
        node_of("Relu", ["m"], ["r"]),
        node_of("Gemm", ["r", "w1", "b1"], ["y"], transB=1),
    ]
    weights = [weight_of("w0", 64, 96), weight_of("w1", 32, 96), weight_of("b1", 32)]
    return model_of(nodes, [float_value("x", "batch", 64)], [float_value("y", "batch", 32)], weights)


class TestStaticQuant(GraphPassContract):
    pass_type = StaticQuant
    configs = (
        DATA,
        {**DATA, "per_channel": True, "calibration": "entropy"},
        {**DATA, "format": "qoperator", "calibration": "percentile"},
        {**DATA, "activation_type": "int8", "symmetric_activations": True, "reduce_range": True},
        {**DATA, "activation_type": "uint16"},
        {**DATA, "weight_type": "int4", "per_channel": True},
    )
    accepted: ClassVar = {
        "conv_net": models.conv_net,
        "constants": lambda: models.conv_net(constants=True),
        "mlp": models.mlp,
        "attention23": models.attention23,
        "copies": models.copies_input,
        "repeated_opset": models.repeated_opset,
        "opset 12": lambda: models.conv_net(opset=12),
        "opset 9": lambda: models.mlp(opset=9),
    }
    refused: ClassVar = {
        "quantized": Refusal(models.quantized, "quantized already", DATA),
        "half": Refusal(models.half, "half precision", DATA),
        "strings": Refusal(models.string_input, "nothing to quantize", DATA),
        "inside a branch": Refusal(models.if_model, "inside a branch or a loop", DATA),
        "weights as inputs": Refusal(models.weights_as_inputs, "fix_weights: true", DATA),
        "unknown type": Refusal(models.mlp, "op_types names Gem,", {**DATA, "op_types": ["Gem", "Gemm"]}),
        "only followers": Refusal(models.conv_net, "no Relu", {**DATA, "op_types": ["Relu"]}),
    }


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"activation_type": "int8", "weight_type": "uint8"}, "no kernels"),
        ({"activation_type": "int16", "format": "qoperator"}, "qdq only"),
        ({"weight_type": "int4", "format": "qoperator"}, "qdq only"),
    ],
)
def test_types_that_do_not_go_together_are_no_configuration(settings: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        StaticQuantConfig.model_validate({**DATA, **settings})


def test_per_channel_qoperator_needs_no_opset_13(tmp_path: Path) -> None:
    result = applied(
        StaticQuant, models.conv_net(opset=12), tmp_path, data="data", format="qoperator", per_channel=True
    )
    assert kinds(read_structure(result.model))["QLinearConv"] == 2


def test_variants_of_one_calibration_ask_for_the_same_auxiliary_step() -> None:
    variants = [
        StaticQuantConfig.model_validate({**DATA, "format": format, "per_channel": per_channel})
        for format, per_channel in product(["qdq", "qoperator"], [False, True])
    ]
    first, *others = [StaticQuant().needs(config) for config in variants]
    assert all(other == first for other in others)
    assert first["ranges"].pass_name == "calibrate"
    assert StaticQuant().needs(StaticQuantConfig(data="data", calibration="entropy")) != first


def test_weights_in_constant_nodes_are_quantized_like_initializers(tmp_path: Path) -> None:
    lifted = applied(StaticQuant, models.conv_net(constants=True), tmp_path / "constants", data="data")
    plain = applied(StaticQuant, models.conv_net(), tmp_path / "initializers", data="data")
    assert kinds(read_structure(lifted.model)) == kinds(read_structure(plain.model))


@pytest.mark.parametrize("calibration", ["minmax", "entropy", "percentile"])
@pytest.mark.parametrize("format", ["qdq", "qoperator"])
def test_outputs_are_close(tmp_path: Path, format: str, calibration: str) -> None:
    result = applied(
        StaticQuant, models.conv_net(), tmp_path, data="data", format=format, calibration=calibration, per_channel=True
    )
    feeds = feeds_for(result.model, seed=1, batch=16)  # what it was calibrated on
    expected = run_model(tmp_path / "source" / "model.onnx", feeds)["logits"]
    gap = abs(run_model(result.model, feeds)["logits"] - expected).max() / abs(expected).max()
    assert (
        gap < 0.1
    )  # 8 bits: 0.4 % of the range for each of some ten quantized values in a row; entropy clips a little


def test_scales_come_from_the_given_ranges(tmp_path: Path) -> None:
    result = applied(StaticQuant, models.mlp(), tmp_path, data="data")
    source = tmp_path / "source" / "model.onnx"
    values = feeds_for(source, batch=16, seed=1)["x"]
    scales = {tensor.name: tensor for tensor in read_structure(result.model).graph.initializer}
    scale = float(onnx.numpy_helper.to_array(scales["x_scale"]))
    assert scale == pytest.approx((values.max() - values.min()) / 255, rel=1e-5)  # float32


def test_excluded_nodes_stay_in_float32(tmp_path: Path) -> None:
    result = applied(
        StaticQuant, models.conv_net(), tmp_path, data="data", format="qoperator", exclude_nodes=["Conv_a"]
    )
    found = kinds(read_structure(result.model))
    assert (found["Conv"], found["QLinearConv"]) == (1, 1)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("format", ["qdq", "qoperator"])
@pytest.mark.parametrize("build", [models.conv_net, models.mlp, wide_layers])
def test_model_is_the_one_that_the_runtimes_quantizer_makes(
    tmp_path: Path, build: Build, format: str, per_channel: bool
) -> None:
    result = applied(StaticQuant, build(), tmp_path, data="data", format=format, per_channel=per_channel)
    source, theirs = tmp_path / "source/model.onnx", tmp_path / "theirs.onnx"
    kind = QuantFormat.QDQ if format == "qdq" else QuantFormat.QOperator
    quantize_static(source, theirs, Reader(source), quant_format=kind, per_channel=per_channel)
    assert kinds(read_structure(result.model)) == kinds(read_structure(theirs))
    feeds = feeds_for(source, seed=1, batch=16)
    expected, got, other = (next(iter(run_model(path, feeds).values())) for path in (source, result.model, theirs))
    assert abs(got - expected).max() <= 1.02 * abs(other - expected).max()  # 2 %: a code or two are rounded otherwise


def test_large_weights_are_not_shown_to_the_tool_and_their_codes_are_the_nearest(tmp_path: Path) -> None:
    result = applied(StaticQuant, wide_layers(), tmp_path, data="data", per_channel=True)
    held = {
        tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in read_structure(result.model).graph.initializer
    }
    weight = random_values("w0", 64, 96)
    assert held["w0_quantized"].shape == (64, 96)
    assert held["w0_scale"] == pytest.approx(abs(weight).max(axis=0) / 127, rel=1e-6)  # float32
    assert np.array_equal(held["w0_quantized"], np.rint(weight / held["w0_scale"]).astype(np.int8))


@pytest.mark.parametrize("weight_type", ["int4", "uint4"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_four_bits_raise_the_opset_and_run(tmp_path: Path, weight_type: str, per_channel: bool) -> None:
    result = applied(
        StaticQuant, wide_layers(), tmp_path, data="data", weight_type=weight_type, per_channel=per_channel
    )
    model = read_structure(result.model)
    assert opset_of(model) == 21
    assert not any(node.domain for node in model.graph.node)
    onnx.checker.check_model(onnx.load(result.model))
    assert relative_error(result.model, tmp_path / "source/model.onnx") < 0.35  # two layers, 15 levels each


@pytest.mark.parametrize("activation_type", ["int16", "uint16"])
def test_sixteen_bits_keep_the_opset_and_are_closer_than_eight(tmp_path: Path, activation_type: str) -> None:
    # A weight that is exact in 8 bits. Of a MatMul the runtime would round the inputs to 8 bits again (accuracy level 4).
    eye = onnx.numpy_helper.from_array(np.eye(16, dtype=np.float32).reshape(16, 16, 1), "eye")
    ends = float_value("x", "batch", 16, 5), float_value("y", "batch", 16, 5)
    model = model_of([node_of("Conv", ["x", "eye"], ["y"])], ends[:1], ends[1:], [eye])
    sixteen = applied(StaticQuant, model, tmp_path / "16", data="data", activation_type=activation_type)
    eight = applied(StaticQuant, model, tmp_path / "8", data="data")
    assert opset_of(read_structure(sixteen.model)) == opset_of(model)
    source = tmp_path / "8/source/model.onnx"
    assert relative_error(sixteen.model, source) < 0.01 * relative_error(eight.model, source)  # 1/256, and some air


@pytest.mark.parametrize("opset", [9, 10, 11, 12, 13, 17, 19, 21, 23])
@pytest.mark.parametrize("format", ["qdq", "qoperator"])
def test_runtime_runs_every_opset(tmp_path: Path, format: str, opset: int) -> None:
    result = applied(StaticQuant, models.conv_net(opset=opset), tmp_path, data="data", format=format, per_channel=True)
    assert relative_error(result.model, tmp_path / "source/model.onnx") < 0.1  # 8 bits, some ten values in a row


def test_values_that_raising_the_opset_makes_have_ranges(tmp_path: Path) -> None:
    nodes = [
        node_of("MatMul", ["x", "w"], ["m"]),
        node_of("Softmax", ["m"], ["s"], axis=1),
        node_of("MatMul", ["s", "v"], ["y"]),
    ]
    ends = float_value("x", "batch", 5, 16), float_value("y", "batch", 5, 4)
    weights = [weight_of("w", 16, 8), weight_of("v", 8, 4)]
    model = model_of(nodes, ends[:1], ends[1:], weights, opset=12)  # there a softmax flattens its input first
    result = applied(StaticQuant, model, tmp_path, data="data", per_channel=True)
    assert relative_error(result.model, tmp_path / "source/model.onnx") < 0.05  # 8 bits, three values in a row


def test_only_named_nodes_are_taken(tmp_path: Path) -> None:
    result = applied(StaticQuant, models.conv_net(), tmp_path, data="data", format="qoperator", nodes=["Conv_d"])
    found = kinds(read_structure(result.model))
    assert (found["Conv"], found["QLinearConv"]) == (1, 1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weight_that_is_not_finite_is_refused_by_name(tmp_path: Path, value: float) -> None:
    model = wide_layers()
    values = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
    values[40, 7] = value
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(values, "w0"))
    with pytest.raises(RefusedError, match="the weight 'w0' holds NaN or an infinity"):
        applied(StaticQuant, model, tmp_path, data="data")


def relative_error(result: Path, source: Path) -> float:
    """Returns the relative error of a model's first output on the data it was calibrated on (the norm of what differs)."""
    feeds = feeds_for(source, seed=1, batch=16)
    expected, got = (next(iter(run_model(path, feeds).values())) for path in (source, result))
    return float(np.linalg.norm(expected - got) / np.linalg.norm(expected))


def test_most_sensitive_layers_stay_in_float32(tmp_path: Path) -> None:
    model = models.matmul_chain()
    values = onnx.numpy_helper.to_array(model.graph.initializer[1]).copy()
    values[3, 5] = 100  # next to it, all other weights of the layer round to zero
    model.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(values, "w1"))
    result = applied(StaticQuant, model, tmp_path, data="data", op_types=["MatMul"], most_sensitive_kept=1)
    assert result.manifest.notes["static_quant"]["kept"] == ["MatMul_m1"]
    assert "w1" in {tensor.name for tensor in read_structure(result.model).graph.initializer}


def test_layers_of_types_that_are_not_asked_for_do_not_count_among_the_most_sensitive(tmp_path: Path) -> None:
    settings = {"data": "data", "op_types": ["Conv"], "most_sensitive_kept": 1}
    model = models.conv_net()
    values = onnx.numpy_helper.to_array(model.graph.initializer[4]).copy()
    values[3, 2] = 100  # the layer that loses most
    model.graph.initializer[4].CopyFrom(onnx.numpy_helper.from_array(values, "w"))
    result = applied(StaticQuant, model, tmp_path, **settings)
    assert result.manifest.notes["static_quant"]["kept"][0].startswith("Conv")
