"""Tests of which weights are matrices."""

from __future__ import annotations

import onnx
import pytest

from olivelike.testing import models
from olivelike.testing.building import float_value, model_of, node_of, value_of, weight_of
from olivelike_passes.matrices import matrices


def described(model: onnx.ModelProto) -> list[tuple[str, str, int, int, bool]]:
    return [(m.kind, m.tensor.name, m.inputs, m.outputs, m.rows_are_outputs) for m in matrices(model)]


def test_matmul_gemm_and_gather_have_matrices() -> None:
    nodes = [
        node_of("Gather", ["words", "ids"], ["h"]),
        node_of("MatMul", ["h", "w"], ["a"]),
        node_of("Gemm", ["a", "g"], ["b"], transB=1),
        node_of("Transpose", ["words"], ["turned"], perm=[1, 0]),
        node_of("MatMul", ["b", "turned"], ["y"]),
    ]
    weights = [weight_of("words", 10, 4), weight_of("w", 4, 6), weight_of("g", 4, 6)]
    model = model_of(nodes, [value_of("ids", "INT64", 3)], [float_value("y", 3, 10)], weights)
    assert described(model) == [
        ("Gather", "words", 4, 10, True),
        ("MatMul", "w", 4, 6, False),
        ("Gemm", "g", 6, 4, True),
        ("MatMul", "words", 4, 10, True),
    ]


@pytest.mark.parametrize("node", [
    node_of("Gemm", ["x", "w"], ["y"], alpha=0.5),
    node_of("Gemm", ["x", "w"], ["y"], transA=1),
    node_of("MatMul", ["w", "x"], ["y"]),
    node_of("MatMul", ["x", "w"], ["y"], domain="custom"),
])  # fmt: skip
def test_other_uses_have_none(node: onnx.NodeProto) -> None:
    model = model_of([node], [float_value("x", 4, 4)], [float_value("y", 4, 4)], [weight_of("w", 4, 4)])
    assert described(model) == []


def test_weights_that_may_be_replaced_are_none() -> None:
    node = node_of("MatMul", ["x", "w"], ["y"])
    inputs = [float_value("x", 4, 4), float_value("w", 4, 4)]
    model = model_of([node], inputs, [float_value("y", 4, 4)], [weight_of("w", 4, 4)])
    assert described(model) == []


def test_a_branch_reads_a_matrix_of_the_graph_around_it() -> None:
    then = onnx.helper.make_graph([node_of("MatMul", ["x", "w"], ["t"])], "then", [], [float_value("t", 2, 3)])
    hidden = onnx.helper.make_graph(
        [node_of("Identity", ["v"], ["w"]), node_of("MatMul", ["x", "w"], ["e"])],
        "else", [], [float_value("e", 2, 3)],
    )  # fmt: skip
    node = node_of("If", ["flag"], ["y"], then_branch=then, else_branch=hidden)
    inputs = [float_value("x", 2, 4), float_value("v", 4, 3), value_of("flag", "BOOL")]
    model = model_of([node], inputs, [float_value("y", 2, 3)], [weight_of("w", 4, 3)])
    assert described(model) == [("MatMul", "w", 4, 3, False)]


def test_a_model_without_weights_has_none() -> None:
    assert described(models.string_input()) == []
