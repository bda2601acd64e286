"""Tests of the pass `fuse_transformers`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import pytest
from onnx import ModelProto

from olivelike.errors import RefusedError
from olivelike.onnxfile.read import read_structure
from olivelike.testing import models
from olivelike.testing.building import float_tensor, float_value, model_of, node_of, weight_of
from olivelike.testing.pass_contract import PassContract, Refusal
from olivelike_passes.graph.fuse_transformers import FuseTransformers
from olivelike_passes.quantization.dynamic_quant import DynamicQuant
from tests.passes.running import applied, kinds, reasons


class TestFuseTransformers(PassContract):
    pass_type = FuseTransformers
    accepted: ClassVar = {"bert_layer": models.bert_layer}
    refused: ClassVar = {
        "nothing to fuse": Refusal(models.mlp, "nothing in the model matches"),
        "standard attention is not our doing": Refusal(models.attention23, "nothing in the model matches"),
        "quantized": Refusal(models.quantized, "fuse before quantization"),
    }


def test_layer_norms_and_gelu_are_fused(tmp_path: Path) -> None:
    result = applied(FuseTransformers, models.bert_layer(), tmp_path)
    assert result.manifest.notes["fuse_transformers"] == {"BiasGelu": 1, "SkipLayerNormalization": 2}
    assert kinds(read_structure(result.model)) == {"MatMul": 3, "SkipLayerNormalization": 2, "BiasGelu": 1}


def test_nothing_is_printed_or_logged_as_a_warning(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Exception, match="nothing in the model"):
        applied(FuseTransformers, models.attention23(), tmp_path)  # the tool prints "failed in shape inference" here
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(find_spec("torch") is not None, reason="torch is installed here")
def test_opt_level_above_0_is_refused_without_torch(tmp_path: Path) -> None:
    assert "needs torch" in reasons(FuseTransformers, models.bert_layer(), tmp_path, opt_level=1)[0]


def test_fused_model_can_be_quantized(tmp_path: Path) -> None:
    fused = applied(FuseTransformers, models.bert_layer(), tmp_path / "fused")
    # ONNX's own inference knows no type behind com.microsoft's operators; the quantizer skips values without a type.
    quantized = applied(DynamicQuant, read_structure(fused.model), tmp_path / "quantized")
    assert kinds(read_structure(quantized.model))["MatMulInteger"] == 3


def rms_norm() -> ModelProto:
    """A norm by the root mean square, from which the runtime's tool makes an operator that ONNX does not have."""
    nodes = [
        node_of("Pow", ["x", "two"], ["square"]),
        node_of("ReduceMean", ["square"], ["mean"], axes=[-1], keepdims=1),
        node_of("Add", ["mean", "epsilon"], ["safe"]),
        node_of("Sqrt", ["safe"], ["root"]),
        node_of("Div", ["one", "root"], ["inverse"]),
        node_of("Mul", ["x", "inverse"], ["normal"]),
        node_of("Mul", ["gain", "normal"], ["y"]),
    ]
    weights = [float_tensor("two", 2.0), float_tensor("one", 1.0), float_tensor("epsilon", 1e-5), weight_of("gain", 16)]
    ends = ([float_value(name, "batch", 4, 16)] for name in "xy")
    return model_of(nodes, *ends, weights)


def test_a_result_that_is_no_valid_onnx_is_refused_and_another_pass_named(tmp_path: Path) -> None:
    with pytest.raises(
        RefusedError, match=r"SimplifiedLayerNormalization.*which ONNX does not have in opset 17\. hint: .*`fuse`"
    ):
        applied(FuseTransformers, rms_norm(), tmp_path)
