"""Tests of the passes `fp8` and `int16`: the error is that of the type, per channel, and kernels are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from onnx import numpy_helper

from olivelike.contracts.target import Provider, Target
from olivelike.errors import RefusedError
from olivelike.onnxfile.read import read_structure
from olivelike.testing import models, odd_models
from olivelike.testing.building import float_tensor, float_value, model_of, node_of, weight_of
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal
from olivelike_passes.precision.fp8 import Fp8
from olivelike_passes.precision.int16 import Int16
from tests.passes.running import applied, artifact, kinds


class TestFp8(GraphPassContract):
    pass_type = Fp8
    configs = ({}, {"per_channel": False})
    accepted: ClassVar = {
        "conv_net": lambda: models.conv_net(opset=21),
        "mlp": lambda: models.mlp(opset=21),
        "constants": lambda: models.conv_net(opset=21, constants=True),
    }
    refused: ClassVar = {
        "opset": Refusal(lambda: models.mlp(opset=17), "convert_opset"),
        "quantized": Refusal(models.quantized, "dequantize"),
        "half": Refusal(models.half, "half precision"),
        "unknown node": Refusal(
            lambda: models.mlp(opset=21), "'nope', which matches no node", {"exclude_nodes": ["nope"]}
        ),
    }


class TestInt16(GraphPassContract):
    pass_type = Int16
    configs = ({}, {"per_channel": False})
    accepted: ClassVar = {"conv_net": lambda: models.conv_net(opset=21), "mlp": lambda: models.mlp(opset=21)}
    refused: ClassVar = {"opset": Refusal(lambda: models.mlp(opset=20), "convert_opset")}


def test_error_is_that_of_each_type(tmp_path: Path) -> None:
    model = models.matmul_chain(opset=21, layers=1)
    feeds = feeds_for(artifact(model, tmp_path / "before").model)
    expected = run_model(tmp_path / "before/source/model.onnx", feeds)
    for kind, most in ((Fp8, 2**-4), (Int16, 2**-14)):  # half a step beside the largest value: 3 and 15 bits
        result = run_model(applied(kind, model, tmp_path / kind.name).model, feeds)
        for name, values in expected.items():
            assert np.abs(result[name] - values).max() <= most * np.abs(values).max()


def test_channel_of_zeros_stays_zero_and_a_small_one_keeps_its_precision(tmp_path: Path) -> None:
    columns = np.array([[0.0, 1e-6, 100.0], [0.0, -3e-6, -50.0]], np.float32)
    model = model_of(
        [node_of("MatMul", ["x", "w"], ["y"])],
        [float_value("x", 1, 2)],
        [float_value("y", 1, 3)],
        [numpy_helper.from_array(columns, "w")],
        opset=21,
        ir_version=10,
    )
    result = applied(Int16, model, tmp_path)
    made = run_model(result.model, {"x": np.array([[0.0, 1.0]], np.float32)})["y"]
    assert made[0, 0] == 0.0
    assert np.allclose(made, columns[1:], rtol=2**-15)


def test_weight_that_is_not_finite_is_refused_by_name(tmp_path: Path) -> None:
    weight = float_tensor("w", [[float("nan"), 1.0], [1.0, 2.0]])
    nodes = [node_of("MatMul", ["x", "w"], ["y"])]
    model = model_of(nodes, [float_value("x", 1, 2)], [float_value("y", 1, 2)], [weight], opset=21, ir_version=10)
    with pytest.raises(RefusedError, match="'w' holds NaN"):
        applied(Fp8, model, tmp_path)


def test_table_that_is_looked_up_too_stays(tmp_path: Path) -> None:
    nodes = [
        node_of("Gather", ["table", "ids"], ["rows"]),
        node_of("MatMul", ["rows", "table"], ["a"]),
        node_of("MatMul", ["a", "w"], ["y"]),
    ]
    ids = odd_models.value_of("ids", "INT64", 2)
    weights = [weight_of("table", 8, 8), weight_of("w", 8, 8)]
    model = model_of(nodes, [ids], [float_value("y", 2, 8)], weights, opset=21, ir_version=10)
    held = {tensor.name for tensor in read_structure(applied(Int16, model, tmp_path).model).graph.initializer}
    assert held == {"table", "w_int16", "w_scale"}


def test_weight_that_a_branch_reads_is_stored_once(tmp_path: Path) -> None:
    model = odd_models.shared_between_branches()
    model.opset_import[0].version, model.ir_version = 21, 10
    assert kinds(read_structure(applied(Fp8, model, tmp_path).model))["DequantizeLinear"] == 1


def test_target_without_kernels_is_refused(tmp_path: Path) -> None:
    source = artifact(models.mlp(opset=21), tmp_path)
    dml = Target("gpu", (Provider("DmlExecutionProvider"), Provider("CPUExecutionProvider")))
    [reason] = Fp8().refuses(source, Fp8.config(), dml)
    assert "DmlExecutionProvider" in reason
    cuda = Target("gpu", (Provider("CUDAExecutionProvider"), Provider("CPUExecutionProvider")))
    assert not Fp8().refuses(source, Fp8.config(), cuda)
