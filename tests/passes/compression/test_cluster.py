"""Tests of the pass `cluster`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest

from olivelike.onnxfile.read import read_model, read_structure
from olivelike.testing import models
from olivelike.testing.building import float_value, model_of, node_of, weight_of
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal, gap_between
from olivelike_passes.compression.cluster import Cluster
from tests.passes.running import applied, artifact, kinds


def wide(opset: int = 17) -> onnx.ModelProto:
    return models.matmul_chain(opset=opset, layers=2, width=64)


def wide_half() -> onnx.ModelProto:
    nodes = [node_of("MatMul", ["x", "w"], ["y"])]
    weight = onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight_of("w", 64, 32)).astype(np.float16), "w")
    ends = [onnx.helper.make_tensor_value_info(n, 10, s) for n, s in (("x", [2, 64]), ("y", [2, 32]))]
    return model_of(nodes, ends[:1], ends[1:], [weight])


def wide_constants() -> onnx.ModelProto:
    values = onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight_of("w", 64, 32)), "w")
    nodes = [node_of("Constant", [], ["w"], value=values), node_of("MatMul", ["x", "w"], ["y"])]
    return model_of(nodes, [float_value("x", 2, 64)], [float_value("y", 2, 32)])


def infinite() -> onnx.ModelProto:
    weight = weight_of("w", 64, 32)
    values = onnx.numpy_helper.to_array(weight).copy()
    values[5, 5] = np.inf
    return model_of(
        [node_of("MatMul", ["x", "w"], ["y"])],
        [float_value("x", 2, 64)],
        [float_value("y", 2, 32)],
        [onnx.numpy_helper.from_array(values, "w")],
    )


class TestCluster(GraphPassContract):
    pass_type = Cluster
    configs = ({}, {"bits": 4}, {"bits": 3, "format": "values"})
    odd_config: ClassVar = {"min_elements": 2}
    accepted: ClassVar = {
        "wide": wide,
        "opset21": lambda: wide(21),
        "half": wide_half,
        "constants": wide_constants,
    }
    refused: ClassVar = {
        "small": Refusal(models.mlp, "no constant weight of two axes and at least 100000", {"min_elements": 100000}),
        "quantized": Refusal(models.quantized, "quantized already"),
        "infinite": Refusal(infinite, "the weight 'w' holds NaN or an infinity"),
        "pattern": Refusal(wide, "nodes has 'lost*', which matches no node", {"nodes": ["lost*"]}),
    }


def stored(path: Path) -> int:
    return sum(len(tensor.raw_data) for tensor in read_model(path).graph.initializer)


@pytest.mark.parametrize(("bits", "opset", "least"), [(8, 17, 3.5), (4, 21, 6.0), (4, 17, 3.5)])
def test_file_is_smaller_by_what_the_codes_need(tmp_path: Path, bits: int, opset: int, least: float) -> None:
    model = models.matmul_chain(opset=opset, layers=1, width=256)
    result = applied(Cluster, model, tmp_path, bits=bits)
    assert stored(artifact(model, tmp_path / "again").model) / stored(result.model) > least


def test_both_formats_compute_the_same(tmp_path: Path) -> None:
    one, other = (applied(Cluster, wide(), tmp_path / f, bits=5, format=f).model for f in ("lookup", "values"))
    feeds = feeds_for(one)
    assert gap_between(run_model(one, feeds)["y"], run_model(other, feeds)["y"]) == 0
    assert kinds(read_structure(one))["Gather"] == 2
    assert "Gather" not in kinds(read_structure(other))


def test_more_bits_are_closer(tmp_path: Path) -> None:
    model = wide()
    feeds = feeds_for(artifact(model, tmp_path).model)
    before = run_model(artifact(model, tmp_path / "before").model, feeds)["y"]
    gaps = [
        gap_between(before, run_model(applied(Cluster, model, tmp_path / str(bits), bits=bits).model, feeds)["y"])
        for bits in (2, 4, 8)
    ]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 0.01  # 256 values for 4,096 elements


def test_weights_of_excluded_nodes_stay(tmp_path: Path) -> None:
    result = read_structure(applied(Cluster, wide(), tmp_path, exclude_nodes=["MatMul_m0"]).model)
    assert {tensor.name for tensor in result.graph.initializer} == {"w0", "w1_codes", "w1_table"}
