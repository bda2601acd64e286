"""Tests of the pass `float16`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from olivelike.onnxfile.read import read_structure, signature
from olivelike.testing import models
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.pass_contract import PassContract, Refusal
from olivelike_passes.precision.float16 import Float16
from tests.passes.running import applied


class TestFloat16(PassContract):
    pass_type = Float16
    configs = ({}, {"keep_io_types": False}, {"op_block_list": ["Relu"]})
    accepted: ClassVar = {
        "conv_net": models.conv_net,
        "constants": lambda: models.conv_net(constants=True),
        "mlp": models.mlp,
        "if": models.if_model,
        "copies": models.copies_input,
        "bert_layer": models.bert_layer,
        "repeated_opset": models.repeated_opset,
    }
    refused: ClassVar = {
        "half": Refusal(models.half, "half precision already"),
        "quantized": Refusal(models.quantized, "quantized already"),
        "no weights": Refusal(models.string_input, "no float32 weight"),
        "weights as inputs": Refusal(models.weights_as_inputs, "fix_weights"),
        "unknown node": Refusal(models.mlp, "'nope', which matches no node", {"node_block_list": ["nope"]}),
    }


def test_weights_take_half_the_bytes_and_ends_stay_float32(tmp_path: Path) -> None:
    result = applied(Float16, models.mlp(), tmp_path)
    model = read_structure(result.model)
    assert {tensor.data_type for tensor in model.graph.initializer} == {model.graph.initializer[0].FLOAT16}
    assert signature(result.model) == signature(tmp_path / "source" / "model.onnx")


def test_ends_can_be_half_precision_too(tmp_path: Path) -> None:
    result = applied(Float16, models.mlp(), tmp_path, keep_io_types=False)
    assert signature(result.model).inputs[0].dtype == "float16"


def test_outputs_are_close(tmp_path: Path) -> None:
    result = applied(Float16, models.conv_net(), tmp_path)
    feeds = feeds_for(result.model)
    expected = run_model(tmp_path / "source" / "model.onnx", feeds)["logits"]
    gap = abs(run_model(result.model, feeds)["logits"] - expected).max() / abs(expected).max()
    assert gap < 1e-2  # float16 has 11 bits (5e-4); the terms of four layers add up


def test_blocked_node_keeps_its_weight_in_float32(tmp_path: Path) -> None:
    result = applied(Float16, models.mlp(), tmp_path, node_block_list=["Gemm_log*"])
    types = {tensor.name: tensor.data_type for tensor in read_structure(result.model).graph.initializer}
    assert (types["w1"], types["w2"]) == (10, 1)  # TensorProto.FLOAT16, TensorProto.FLOAT
