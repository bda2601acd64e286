"""Tests of the pass `bfloat16`: refused where the CPU has no kernels, and right where there are some."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest
from onnx import TensorProto

from olivelike.contracts.target import Provider, Target
from olivelike.errors import RefusedError
from olivelike.onnxfile.check import validate_graph
from olivelike.onnxfile.read import read_structure
from olivelike.testing import models
from olivelike.testing.building import float_value, model_of, node_of, value_of, weight_of
from olivelike.testing.context import MemoryContext, run_model
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal
from olivelike_passes.precision.bfloat16 import Bfloat16, Bfloat16Config
from tests.passes.running import applied, artifact

if TYPE_CHECKING:
    from onnx import ModelProto


def table() -> ModelProto:
    """Rows of a table, looked up and turned: `ids` int64 [3] to `y` float32 [8, 3]."""
    nodes = [node_of("Gather", ["table", "ids"], ["rows"]), node_of("Transpose", ["rows"], ["y"], perm=[1, 0])]
    return model_of(nodes, [value_of("ids", "INT64", 3)], [float_value("y", 8, 3)], [weight_of("table", 20, 8)])


def flattened() -> ModelProto:
    """Rows of a table through a product: `ids` int64 [3] to `y` float32 [3, 4]."""
    nodes = [node_of("Gather", ["table", "ids"], ["rows"]), node_of("MatMul", ["rows", "w"], ["y"])]
    weights = [weight_of("table", 20, 8), weight_of("w", 8, 4)]
    return model_of(nodes, [value_of("ids", "INT64", 3)], [float_value("y", 3, 4)], weights)


class TestBfloat16(GraphPassContract):
    pass_type = Bfloat16
    configs = ({"without_kernel": "float32"},)
    accepted: ClassVar = {"table": table, "mlp": flattened}
    refused: ClassVar = {
        "no kernels": Refusal(models.mlp, "no bfloat16 kernels on the CPU for Gemm"),
        "opset": Refusal(lambda: models.mlp(opset=11), "convert_opset", {"without_kernel": "float32"}),
        "half": Refusal(models.half, "half precision already"),
        "quantized": Refusal(models.quantized, "dequantize"),
    }


def test_operators_without_kernels_keep_their_weights(tmp_path: Path) -> None:
    result = applied(Bfloat16, flattened(), tmp_path, without_kernel="float32")
    types = {tensor.name: tensor.data_type for tensor in read_structure(result.model).graph.initializer}
    assert types == {"table": TensorProto.BFLOAT16, "w": TensorProto.FLOAT}
    feeds = {"ids": np.array([3, 1, 19])}
    before, after = (run_model(path, feeds)["y"] for path in (tmp_path / "source/model.onnx", result.model))
    assert np.abs(before - after).max() < 2**-7 * np.abs(before).max()  # 8 bits


def test_other_targets_are_taken_at_their_word(tmp_path: Path) -> None:
    source, out, scratch = artifact(models.mlp(), tmp_path), tmp_path / "out", tmp_path / "scratch"
    out.mkdir()
    scratch.mkdir()
    cuda = Target("gpu", (Provider("CUDAExecutionProvider"), Provider("CPUExecutionProvider")))
    Bfloat16().run(source, out, Bfloat16Config(), MemoryContext(scratch, target=cuda))
    validate_graph(out / "model.onnx")
    held = {tensor.data_type for tensor in read_structure(out / "model.onnx").graph.initializer}
    assert held == {TensorProto.BFLOAT16}


def test_what_the_installed_runtime_lacks_is_named(tmp_path: Path) -> None:
    # Conv itself knows bfloat16 from opset 22 on, and stays in float32 below.
    with pytest.raises(RefusedError, match="for Add, Gemm, Relu"):
        applied(Bfloat16, models.conv_net(), tmp_path)
