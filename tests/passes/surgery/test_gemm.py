"""`Gemm`, and `MatMul` with `Add`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from olivelike.errors import RefusedError
from olivelike.testing import models
from olivelike.testing.building import float_value, model_of, node_of, value_of, weight_of
from tests.passes.surgery.operating import assert_equal_outputs, changed, listed, operated, weights


def test_gemm_becomes_matmul_and_add_over_the_same_weights(tmp_path: Path) -> None:
    model = models.mlp()
    result = operated(model, tmp_path, "GemmToMatMulAdd")
    assert listed(result) == ["MatMul", "Add", "Relu", "MatMul", "Add"]
    assert weights(result) == {"w1", "b1", "w2", "b2"}
    assert changed(result) == [("gemm_to_matmul_add", 2)]
    assert_equal_outputs(model, result, tmp_path)


def test_a_transposed_weight_is_turned_once_and_the_old_one_goes(tmp_path: Path) -> None:
    nodes = [
        node_of("Gemm", ["x", "w"], ["h"], transB=1),
        node_of("Gemm", ["h", "w", "b"], ["y"], transB=1),
    ]
    ends = [float_value("x", "batch", 16)], [float_value("y", "batch", 16)]
    model = model_of(nodes, *ends, [weight_of("w", 16, 16), weight_of("b", 16)])
    result = operated(model, tmp_path, "gemm_to_matmul_add")
    assert listed(result) == ["MatMul", "MatMul", "Add"]
    assert weights(result) == {"w_transposed", "b"}
    assert_equal_outputs(model, result, tmp_path)


def test_what_may_be_replaced_is_transposed_as_the_model_runs(tmp_path: Path) -> None:
    nodes = [node_of("Gemm", ["x", "w"], ["y"], transB=1)]
    model = model_of(
        nodes, [float_value("x", 2, 16), float_value("w", 4, 16)], [float_value("y", 2, 4)], [weight_of("w", 4, 16)]
    )
    result = operated(model, tmp_path, "gemm_to_matmul_add")
    assert listed(result) == ["Transpose", "MatMul"]
    assert weights(result) == {"w"}
    assert_equal_outputs(model, result, tmp_path)


def test_a_gemm_with_a_factor_is_left_alone(tmp_path: Path) -> None:
    nodes = [node_of("Gemm", ["x", "w"], ["y"], alpha=0.5)]
    model = model_of(nodes, [float_value("x", 2, 16)], [float_value("y", 2, 4)], [weight_of("w", 16, 4)])
    with pytest.raises(RefusedError, match="step gemm_to_matmul_add: found no Gemm with alpha and beta 1 and transA 0"):
        operated(model, tmp_path, "gemm_to_matmul_add")


def test_a_gemm_inside_a_branch_is_rewritten_there(tmp_path: Path) -> None:
    def branch(name: str) -> onnx.GraphProto:
        nodes = [node_of("Gemm", ["x", "w"], [f"y_{name}"], transB=1)]
        return onnx.helper.make_graph(nodes, name, [], [float_value(f"y_{name}", 2, 16)])

    node = node_of("If", ["flag"], ["y"], then_branch=branch("yes"), else_branch=branch("no"))
    flag = onnx.helper.make_tensor_value_info("flag", onnx.TensorProto.BOOL, [])
    ends = [flag, float_value("x", 2, 16)], [float_value("y", 2, 16)]
    model = model_of([node], *ends, [weight_of("w", 16, 16)])
    result = operated(model, tmp_path, "gemm_to_matmul_add")
    assert changed(result) == [("gemm_to_matmul_add", 2)]
    assert weights(result) == {"w_transposed"}
    assert_equal_outputs(model, result, tmp_path)


def product(*shape: int | str, relu: bool = False, bias: int = 8, opset: int = 17) -> onnx.ModelProto:
    nodes = [node_of("MatMul", ["x", "w"], ["m"]), node_of("Add", ["b", "m"], ["s"])]
    nodes.append(node_of("Relu", ["s"], ["r"]) if relu else node_of("Neg", ["s"], ["r"]))
    nodes.append(node_of("Exp", ["r"], ["y"]))
    ends = [float_value("x", *shape, 16)], [float_value("y", *shape, 8)]
    return model_of(nodes, *ends, [weight_of("w", 16, 8), weight_of("b", bias)], opset=opset)


@pytest.mark.parametrize("bias", [1, 8])
def test_matmul_and_add_become_gemm(tmp_path: Path, bias: int) -> None:
    model = product("batch", bias=bias)
    result = operated(model, tmp_path, "MatMulAddToGemm")
    assert listed(result) == ["Gemm", "Neg", "Exp"]
    assert_equal_outputs(model, result, tmp_path)


@pytest.mark.parametrize(
    ("relu", "expected"),
    [
        (False, ["Reshape", "Gemm", "Reshape", "Neg", "Exp"]),
        (True, ["Reshape", "Gemm", "Relu", "Reshape", "Exp"]),
    ],
    ids=["other", "relu"],
)
def test_more_axes_of_known_size_are_flattened_around_it(tmp_path: Path, relu: bool, expected: list[str]) -> None:
    model = product(2, 3, relu=relu)
    result = operated(model, tmp_path, "matmul_add_to_gemm")
    assert listed(result) == expected
    assert_equal_outputs(model, result, tmp_path)


@pytest.mark.parametrize("model", [product("batch", 3), product(0, 3)], ids=["unknown size", "no rows"])
def test_more_axes_that_cannot_be_flattened_are_refused(tmp_path: Path, model: onnx.ModelProto) -> None:
    with pytest.raises(RefusedError, match="step matmul_add_to_gemm: found no MatMul"):
        operated(model, tmp_path, "matmul_add_to_gemm")


def test_a_bias_that_widens_the_product_is_none(tmp_path: Path) -> None:
    nodes = [node_of("MatMul", ["x", "w"], ["m"]), node_of("Add", ["m", "b"], ["y"])]
    model = model_of(
        nodes, [float_value("x", 2, 16)], [float_value("y", 2, 8)], [weight_of("w", 16, 1), weight_of("b", 8)]
    )
    with pytest.raises(RefusedError, match="found no MatMul"):
        operated(model, tmp_path, "matmul_add_to_gemm")


def test_there_and_back_is_the_same_graph(tmp_path: Path) -> None:
    model = models.mlp()
    result = operated(model, tmp_path, "gemm_to_matmul_add", "matmul_add_to_gemm")
    assert listed(result) == ["Gemm", "Relu", "Gemm"]
    assert weights(result) == {"w1", "b1", "w2", "b2"}
    assert_equal_outputs(model, result, tmp_path)


def test_whole_numbers_stay_matmul_and_add_because_no_runtime_has_a_gemm_of_them(tmp_path: Path) -> None:
    numbers = [
        onnx.numpy_helper.from_array(np.ones(shape, np.int32), name) for name, shape in (("w", (4, 4)), ("b", (4,)))
    ]
    nodes = [node_of("MatMul", ["x", "w"], ["m"]), node_of("Add", ["m", "b"], ["y"])]
    inputs, outputs = ([value_of(name, "INT32", 2, 4)] for name in "xy")
    with pytest.raises(RefusedError, match="found no MatMul"):
        operated(model_of(nodes, inputs, outputs, numbers), tmp_path, "matmul_add_to_gemm")
