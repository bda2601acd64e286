"""Tests of what counts as quantizable."""

from __future__ import annotations

from olivelike.testing import models
from olivelike_passes.quantization.quantizable import DYNAMIC_TYPES, STATIC_TYPES, float_constants, weighted_nodes


def test_lists_of_types_agree_with_the_runtimes() -> None:
    from onnxruntime.quantization.registry import IntegerOpsRegistry, QDQRegistry, QLinearOpsRegistry

    assert set(DYNAMIC_TYPES) == {*IntegerOpsRegistry, "Gemm"}
    assert set(STATIC_TYPES) == {*QLinearOpsRegistry, *QDQRegistry}


def test_constants_are_initializers_and_constant_nodes() -> None:
    assert float_constants(models.conv_net()) == float_constants(models.conv_net(constants=True))


def test_weight_of_a_matmul_is_its_second_input() -> None:
    model = models.matmul_chain()
    model.graph.node[0].input[0], model.graph.node[0].input[1] = "w0", "x"
    assert [node.name for node in weighted_nodes(model, ["MatMul"])] == ["MatMul_m1", "MatMul_m2"]
