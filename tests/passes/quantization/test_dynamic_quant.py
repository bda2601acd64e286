"""Tests of the pass `dynamic_quant`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import ClassVar

import onnx
import pytest

from olivelike.onnxfile.read import read_structure
from olivelike.testing import models
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.pass_contract import PassContract, Refusal
from olivelike_passes.quantization.dynamic_quant import DynamicQuant
from tests.passes.running import applied, kinds, reasons


class TestDynamicQuant(PassContract):
    pass_type = DynamicQuant
    configs = ({}, {"per_channel": True}, {"weight_type": "uint8", "reduce_range": True})
    accepted: ClassVar = {
        "mlp": models.mlp,
        "conv_net": models.conv_net,
        "constants": lambda: models.conv_net(constants=True),
        "attention23": models.attention23,
        "bert_layer": models.bert_layer,
        "copies": models.copies_input,
        "repeated_opset": models.repeated_opset,
        "opset 12": lambda: models.conv_net(opset=12),
    }
    refused: ClassVar = {
        "quantized": Refusal(models.quantized, "quantized already (DequantizeLinear, QuantizeLinear)"),
        "half": Refusal(models.half, "half precision"),
        "strings": Refusal(models.string_input, "nothing to quantize"),
        "no constant weight": Refusal(models.unfolded, "nothing to quantize"),
        "inside a branch": Refusal(models.if_model, "inside a branch or a loop"),
        "weights as inputs": Refusal(models.weights_as_inputs, "fix_weights: true"),
        "old opset": Refusal(lambda: models.mlp(opset=9), "convert_opset: {target: 17}"),
        "unknown type": Refusal(models.mlp, "op_types names Gem,", {"op_types": ["Gem", "MatMul", "Gemm"]}),
        "unknown node": Refusal(models.mlp, "'nope', which matches no node", {"exclude_nodes": ["nope"]}),
        "type that is not there": Refusal(models.conv_net, "no LSTM", {"op_types": ["LSTM"]}),
    }


def test_weights_in_constant_nodes_are_quantized_like_initializers(tmp_path: Path) -> None:
    lifted = applied(DynamicQuant, models.conv_net(constants=True), tmp_path / "constants")
    plain = applied(DynamicQuant, models.conv_net(), tmp_path / "initializers")
    assert kinds(read_structure(lifted.model)) == kinds(read_structure(plain.model))
    assert kinds(read_structure(lifted.model))["ConvInteger"] == 2


def test_standard_attention_stays_while_its_projections_are_quantized(tmp_path: Path) -> None:
    # The runtime takes ONNX's Attention (opset 23) for com.microsoft's and writes an invalid QAttention.
    found = kinds(read_structure(applied(DynamicQuant, models.attention23(), tmp_path).model))
    assert found["Attention"] == 1
    assert found["MatMulInteger"] == 4


def test_op_types_without_gemm_leave_gemm_alone(tmp_path: Path) -> None:
    found = kinds(read_structure(applied(DynamicQuant, models.conv_net(), tmp_path, op_types=["Conv"]).model))
    assert found["ConvInteger"] == 2
    assert "MatMulInteger" not in found


def test_op_types_of_gemm_alone_quantize_it(tmp_path: Path) -> None:
    found = kinds(read_structure(applied(DynamicQuant, models.conv_net(), tmp_path, op_types=["Gemm"]).model))
    assert found["MatMulInteger"] == 1
    assert "ConvInteger" not in found


def test_excluded_nodes_stay_in_float32(tmp_path: Path) -> None:
    found = kinds(read_structure(applied(DynamicQuant, models.mlp(), tmp_path, exclude_nodes=["*logits"]).model))
    assert found["MatMulInteger"] == 1
    assert found["MatMul"] == 1


def test_header_stays_the_users(tmp_path: Path) -> None:
    model = models.mlp()
    model.metadata_props.add(key="mine", value="1")
    quantized = read_structure(applied(DynamicQuant, model, tmp_path).model)
    assert [(entry.key, entry.value) for entry in quantized.metadata_props] == [("mine", "1")]
    assert quantized.producer_name == model.producer_name
    assert not quantized.graph.value_info


def test_outputs_are_close(tmp_path: Path) -> None:
    result = applied(DynamicQuant, models.mlp(), tmp_path, per_channel=True)
    feeds = feeds_for(result.model)
    expected = run_model(tmp_path / "source" / "model.onnx", feeds)["logits"]
    gap = abs(run_model(result.model, feeds)["logits"] - expected).max() / abs(expected).max()
    assert gap < 0.05  # 8 bits: half a step is 0.4 % of the range, twice for weights and activations, in two layers


def test_tied_embedding_behind_a_transpose_is_left_alone_and_the_rest_is_quantized(tmp_path: Path) -> None:
    model = models.mlp()
    tensor = onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(model.graph.initializer[2]).T.copy(), "tied")
    model.graph.initializer.append(tensor)
    model.graph.node.insert(0, onnx.helper.make_node("Transpose", ["tied"], ["tied_t"], perm=[1, 0]))
    model.graph.node[-1].input[1] = "tied_t"
    quantized = read_structure(applied(DynamicQuant, model, tmp_path).model)
    assert kinds(quantized)["MatMulInteger"] == 1
    assert "tied" in {entry.name for entry in quantized.graph.initializer}


def test_runtime_stays_silent(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        applied(DynamicQuant, models.conv_net(), tmp_path)
    assert capfd.readouterr() == ("", "")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_all_reasons_are_said_at_once(tmp_path: Path) -> None:
    found = reasons(DynamicQuant, models.mlp(opset=9), tmp_path, op_types=["Gem"])
    assert len(found) == 3
