"""Tests of the pass `static_quant`."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import ClassVar

import onnx
import pytest
from pydantic import ValidationError

from olivelike.onnxfile.read import read_structure
from olivelike.testing import models
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.pass_contract import PassContract, Refusal
from olivelike_passes.quantization.static_quant import StaticQuant, StaticQuantConfig
from tests.passes.running import applied, kinds

DATA = {"data": "data"}


class TestStaticQuant(PassContract):
    pass_type = StaticQuant
    configs = (
        DATA,
        {**DATA, "per_channel": True, "calibration": "entropy"},
        {**DATA, "format": "qoperator", "calibration": "percentile"},
        {**DATA, "activation_type": "int8", "symmetric_activations": True, "reduce_range": True},
        {**DATA, "activation_type": "uint16"},
    )
    accepted: ClassVar = {
        "conv_net": models.conv_net,
        "constants": lambda: models.conv_net(constants=True),
        "mlp": models.mlp,
        "attention23": models.attention23,
        "copies": models.copies_input,
        "repeated_opset": models.repeated_opset,
    }
    refused: ClassVar = {
        "quantized": Refusal(models.quantized, "quantized already", DATA),
        "half": Refusal(models.half, "half precision", DATA),
        "strings": Refusal(models.string_input, "nothing to quantize", DATA),
        "inside a branch": Refusal(models.if_model, "inside a branch or a loop", DATA),
        "weights as inputs": Refusal(models.weights_as_inputs, "fix_weights: true", DATA),
        "per channel below 13": Refusal(
            lambda: models.conv_net(opset=12), "convert_opset: {target: 17}", {**DATA, "per_channel": True}
        ),
        "below 10": Refusal(lambda: models.mlp(opset=9), "needs opset 10 or later", DATA),
        "unknown type": Refusal(models.mlp, "op_types names Gem,", {**DATA, "op_types": ["Gem", "Gemm"]}),
        "only followers": Refusal(models.conv_net, "no Relu", {**DATA, "op_types": ["Relu"]}),
    }


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"activation_type": "int8", "weight_type": "uint8"}, "no kernels"),
        ({"activation_type": "int16", "format": "qoperator"}, "qdq only"),
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
