"""Which operators compute on integers, and where they hold the scale of what they give."""

from __future__ import annotations

import pytest
from onnx import helper

from olivelike.onnxfile.quantized import Grid, is_quantized, output_grid


@pytest.mark.parametrize(
    "kind", ["QuantizeLinear", "QLinearConv", "MatMulInteger", "ConvInteger", "MatMulNBits", "DynamicQuantizeLSTM", "QGemm"]
)  # fmt: skip
def test_operators_on_integers_are_known(kind: str) -> None:
    assert is_quantized(kind)


@pytest.mark.parametrize("kind", ["Conv", "MatMul", "Cast", "Relu", "LSTM"])
def test_operators_on_real_numbers_are_not(kind: str) -> None:
    assert not is_quantized(kind)


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "S", "Z", "bias"]),
        ("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "S", "Z"]),
        ("QLinearMatMul", ["a", "as", "az", "b", "bs", "bz", "S", "Z"]),
        ("QGemm", ["a", "as", "az", "b", "bs", "bz", "c", "S", "Z"]),
        ("QLinearConcat", ["S", "Z", "a", "as", "az"]),
        ("QuantizeLinear", ["x", "S", "Z"]),
    ],
)
def test_the_grid_of_an_output_is_where_the_operator_says(kind: str, inputs: list[str]) -> None:
    assert output_grid(helper.make_node(kind, inputs, ["y"])) == Grid("S", "Z")


def test_an_operator_without_a_grid_of_its_own_has_none() -> None:
    assert not output_grid(helper.make_node("MatMulInteger", ["a", "b"], ["y"])).known
