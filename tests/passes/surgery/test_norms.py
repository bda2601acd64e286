"""Norms, written in other operators."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from olivelike.errors import RefusedError
from olivelike.onnxfile.read import read_structure
from olivelike.testing.building import float_tensor, float_value, model_of, node_of, weight_of, whole_tensor
from olivelike.testing.context import run_model
from tests.passes.surgery.operating import (
    MICROSOFT,
    assert_equal_outputs,
    listed,
    microsoft,
    operated,
    outputs,
    weights,
)

WIDTH = 16


def norm(kind: str, opset: int, **attributes: object) -> onnx.ModelProto:
    nodes = [node_of(kind, ["x", "scale"], ["n"], **attributes), node_of("Relu", ["n"], ["y"])]
    ends = [float_value("x", "batch", WIDTH)], [float_value("y", "batch", WIDTH)]
    return model_of(nodes, *ends, [weight_of("scale", WIDTH)], opset=opset, ir_version=8)


@pytest.mark.parametrize(
    "model",
    [norm("SimplifiedLayerNormalization", 17, epsilon=0.0), norm("RMSNormalization", 23, epsilon=0.0)],
    ids=["runtime's", "onnx's"],
)
def test_a_norm_without_epsilon_is_an_l2_norm_times_a_scale(tmp_path: Path, model: onnx.ModelProto) -> None:
    result = operated(model, tmp_path, "simplified_layer_norm_to_l2_norm")
    assert listed(result) == ["LpNormalization", "Mul", "Relu"]
    assert weights(result) == {"scale_times_root"}
    assert_equal_outputs(model, result, tmp_path)


def skipped(*, sum_is_used: bool, scale: onnx.TensorProto) -> onnx.ModelProto:
    names = ["n", "", "", "sum"] if sum_is_used else ["n"]
    nodes = [
        node_of("SkipSimplifiedLayerNormalization", ["x", "skip", "scale"], names, domain=MICROSOFT, epsilon=1e-12),
        node_of("Add", ["n", "sum" if sum_is_used else "x"], ["y"]),
    ]
    inputs = [float_value("x", "batch", 3, WIDTH), float_value("skip", "batch", 3, WIDTH)]
    return microsoft(model_of(nodes, inputs, [float_value("y", "batch", 3, WIDTH)], [scale]))


@pytest.mark.parametrize("sum_is_used", [True, False])
def test_a_skip_becomes_an_addition_before_the_norm(tmp_path: Path, sum_is_used: bool) -> None:
    model = skipped(sum_is_used=sum_is_used, scale=weight_of("scale", WIDTH))
    result = operated(model, tmp_path, "SimplifiedLayerNormToL2Norm")
    assert listed(result) == ["Add", "LpNormalization", "Mul", "Add"]
    assert_equal_outputs(model, result, tmp_path)


def test_a_scale_of_ones_becomes_one_number(tmp_path: Path) -> None:
    model = skipped(sum_is_used=True, scale=float_tensor("scale", [1.0] * WIDTH))
    result = operated(model, tmp_path, "simplified_layer_norm_to_l2_norm")
    scale = onnx.numpy_helper.to_array(read_structure(result.model).graph.initializer[0])
    np.testing.assert_array_equal(scale, np.asarray([4.0], np.float32))
    assert_equal_outputs(model, result, tmp_path)


def test_a_norm_over_several_axes_is_none_that_is_looked_for(tmp_path: Path) -> None:
    model = norm("SimplifiedLayerNormalization", 17, axis=0)
    with pytest.raises(RefusedError, match="step simplified_layer_norm_to_l2_norm: found no Simplified"):
        operated(model, tmp_path, "simplified_layer_norm_to_l2_norm")


def divided(opset: int, *, keepdims: int = 1, exponent: float = 2.0) -> onnx.ModelProto:
    new = opset >= 13
    nodes = [
        node_of("Pow", ["x", "two"], ["squares"]),
        node_of("ReduceSum", ["squares", "axes"], ["sum"], keepdims=keepdims)
        if new
        else node_of("ReduceSum", ["squares"], ["sum"], keepdims=keepdims, axes=[-1]),
        node_of("Pow", ["sum", "half"], ["length"]),
        node_of("Div", ["x", "length"], ["y"]),
    ]
    numbers = [float_tensor("two", exponent), float_tensor("half", 0.5)] + ([whole_tensor("axes", [-1])] if new else [])
    return model_of(nodes, [float_value("x", 5, 5)], [float_value("y", 5, 5)], numbers, opset=opset)


@pytest.mark.parametrize("opset", [9, 12, 13, 20])
def test_a_division_by_the_length_is_an_lp_norm(tmp_path: Path, opset: int) -> None:
    model = divided(opset)
    result = operated(model, tmp_path, "PowReduceSumPowDiv2LpNorm")
    assert listed(result) == ["LpNormalization"]
    assert weights(result) == set()
    assert_equal_outputs(model, result, tmp_path)


@pytest.mark.parametrize("model", [divided(17, keepdims=0), divided(17, exponent=3.0)], ids=["other shape", "cubes"])
def test_what_only_looks_like_an_lp_norm_is_refused(tmp_path: Path, model: onnx.ModelProto) -> None:
    with pytest.raises(RefusedError, match=r"found no Div\(x, Pow\(ReduceSum"):
        operated(model, tmp_path, "pow_reduce_sum_pow_div_to_lp_norm")


def test_a_product_with_a_reciprocal_is_a_division(tmp_path: Path) -> None:
    nodes = [
        node_of("Exp", ["x"], ["e"]),
        node_of("Reciprocal", ["e"], ["r"]),
        node_of("Mul", ["r", "x"], ["m"]),
        node_of("Mul", ["x", "r"], ["n"]),
        node_of("Add", ["m", "n"], ["y"]),
    ]
    model = model_of(nodes, [float_value("x", 4)], [float_value("y", 4)])
    result = operated(model, tmp_path, "reciprocal_mul_to_div")
    assert listed(result) == ["Exp", "Div", "Div", "Add"]
    assert_equal_outputs(model, result, tmp_path)


def test_a_reciprocal_that_is_an_output_stays(tmp_path: Path) -> None:
    nodes = [node_of("Reciprocal", ["x"], ["r"]), node_of("Mul", ["r", "a"], ["y"])]
    ends = [float_value("x", 4), float_value("a", 4)], [float_value("y", 4), float_value("r", 4)]
    model = model_of(nodes, *ends)
    result = operated(model, tmp_path, "reciprocal_mul_to_div")
    assert listed(result) == ["Reciprocal", "Div"]
    feeds = {"x": np.asarray([1, 2, 4, 8], np.float32), "a": np.asarray([3, 3, 3, 3], np.float32)}
    assert_equal_outputs(model, result, tmp_path, feeds)
    assert list(run_model(result.model, feeds)["y"]) == [3, 1.5, 0.75, 0.375]
    assert list(outputs(model, tmp_path / "again", feeds)["y"]) == [3, 1.5, 0.75, 0.375]
