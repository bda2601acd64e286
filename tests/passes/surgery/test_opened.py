"""A model that is opened for surgery: values outside the file, old files, what goes and what stays."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest

from olivelike.onnxfile.read import read_structure
from olivelike.testing import models
from olivelike.testing.building import float_value, model_of, node_of, random_values, weight_of
from olivelike_passes.surgery.opened import Opened
from olivelike_passes.surgery.values import same_values
from tests.passes.surgery.operating import assert_equal_outputs, listed, operated, weights

TYPES = ["float32", "float16", "float64", "int8", "uint8", "int64", "bool", ml_dtypes.bfloat16, ml_dtypes.int4]


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_values_are_the_same_inside_and_outside_the_file(tmp_path: Path, kind: type) -> None:
    values = (random_values("w", 64, 63) * 4).astype(kind)
    tensor = onnx.numpy_helper.from_array(values, "w")
    entry = onnx.helper.make_tensor_value_info
    ends = [entry(name, tensor.data_type, [64, 63]) for name in ("x", "y")]
    model = model_of([node_of("Identity", ["x"], ["y"])], ends[:1], ends[1:], [tensor], opset=21, ir_version=10)
    inside = Opened(model, tmp_path / "none.onnx")
    written = onnx.ModelProto()
    written.CopyFrom(model)
    path = models.save_external(written, tmp_path / "outside")
    outside = Opened(read_structure(path), path)
    assert outside.model.graph.initializer[0].data_location == onnx.TensorProto.EXTERNAL
    for opened in (inside, outside):
        held = opened.main.constant("w")
        assert held is not None
        assert same_values(np.asarray(opened.values(held)), values)


def test_arrays_that_differ_in_sign_of_zero_or_in_type_are_not_the_same() -> None:
    zeros = np.zeros((4, 4), np.float32)
    assert same_values(zeros, zeros.T)
    assert not same_values(zeros, -zeros)
    assert not same_values(zeros, zeros.astype(np.float64))
    nan = np.full((4,), np.nan, np.float32)
    assert same_values(nan, nan.copy())


def test_weights_of_an_old_file_are_inputs_and_new_ones_too(tmp_path: Path) -> None:
    nodes = [node_of("Gemm", ["x", "w"], ["y"], transB=1)]
    ends = [float_value("x", 2, 16), float_value("w", 4, 16)], [float_value("y", 2, 4)]
    model = model_of(nodes, *ends, [weight_of("w", 4, 16)], opset=11, ir_version=3)
    result = operated(model, tmp_path, "gemm_to_matmul_add")
    assert listed(result) == ["MatMul"]
    assert weights(result) == {"w_transposed"}
    assert [entry.name for entry in read_structure(result.model).graph.input] == ["x", "w_transposed"]
    assert_equal_outputs(model, result, tmp_path)


def test_new_names_do_not_meet_old_ones(tmp_path: Path) -> None:
    nodes = [node_of("Gemm", ["x", "w"], ["y"], transB=1), node_of("Neg", ["w_transposed"], ["z"])]
    ends = [float_value("x", 2, 16), float_value("w_transposed", 2)], [float_value("y", 2, 4), float_value("z", 2)]
    model = model_of(nodes, *ends, [weight_of("w", 4, 16)])
    result = operated(model, tmp_path, "gemm_to_matmul_add")
    assert weights(result) == {"w_transposed_1"}
    assert_equal_outputs(model, result, tmp_path)


def test_nodes_without_names_stay_apart(tmp_path: Path) -> None:
    model = models.mlp()
    for node in model.graph.node:
        node.ClearField("name")
    names = [node.name for node in read_structure(operated(model, tmp_path, "gemm_to_matmul_add").model).graph.node]
    assert len({name for name in names if name}) == 4
