"""Tests of what counts as quantizable."""

from __future__ import annotations

from olivelike.testing import models
from olivelike_passes.quantization.quantizable import DYNAMIC_TYPES, STATIC_TYPES
from olivelike_passes.weights import float_constants


def test_lists_of_types_agree_with_the_runtimes() -> None:
    from onnxruntime.quantization.registry import IntegerOpsRegistry, QDQRegistry, QLinearOpsRegistry

    assert set(DYNAMIC_TYPES) == {*IntegerOpsRegistry, "Gemm"}
    assert set(STATIC_TYPES) == {*QLinearOpsRegistry, *QDQRegistry}


def test_constants_are_initializers_and_constant_nodes() -> None:
    assert float_constants(models.conv_net()) == float_constants(models.conv_net(constants=True))
