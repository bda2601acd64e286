"""Tests of the pass `dequantize`: what the runtime's quantizers make is taken back, weight by weight as it computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import onnx
import onnxruntime
import pytest
from onnxruntime.quantization import QuantFormat

from olivelike.errors import RefusedError
from olivelike.onnxfile.quantized import is_quantized
from olivelike.onnxfile.read import read_structure
from olivelike.onnxfile.walk import nodes
from olivelike.testing import models
from olivelike.testing.building import float_tensor, float_value, model_of, node_of, value_of, weight_of
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal
from olivelike_passes.quantization.dequantize import Dequantize
from tests.passes.quantization import quantized_models as quantized
from tests.passes.running import applied, kinds

if TYPE_CHECKING:
    from onnx import ModelProto

QDQ, QOPERATOR = QuantFormat.QDQ, QuantFormat.QOperator


class TestDequantize(GraphPassContract):
    pass_type = Dequantize
    accepted: ClassVar = {
        "qdq": lambda: quantized.static(models.conv_net, QDQ),
        "qoperator": lambda: quantized.static(models.conv_net, QOPERATOR),
        "dynamic": lambda: quantized.dynamic(models.mlp),
        "nbits": lambda: quantized.nbits(models.matmul_chain),
    }
    refused: ClassVar = {
        "float": Refusal(models.mlp, "not quantized"),
        "unknown": Refusal(quantized.bnb4, "MatMulBnb4"),
    }


@pytest.mark.parametrize(
    "build",
    [
        lambda: quantized.nbits(models.matmul_chain),
        lambda: quantized.nbits(models.matmul_chain, symmetric=False),
        lambda: quantized.nbits(models.matmul_chain, bits=8),
        lambda: quantized.nbits(lambda: models.matmul_chain(opset=21), qdq=True),
        lambda: quantized.nbits(lambda: models.matmul_chain(opset=21), qdq=True, symmetric=False),
        quantized.embedding,
        quantized.rounded_weight,
    ],
    ids=["nbits", "nbits zero points", "nbits 8", "blocked qdq", "blocked qdq zero points", "embedding", "rounded"],
)
def test_weights_become_what_the_model_computes_with(build: Callable[[], ModelProto], tmp_path: Path) -> None:
    result = applied(Dequantize, build(), tmp_path)
    assert not left(result.model)
    # Only sums in another order differ: a few units of 6e-8 for each term.
    assert gap(result.model, tmp_path) < 1e-5


@pytest.mark.parametrize(
    "build",
    [
        lambda: quantized.static(models.conv_net, QDQ),
        lambda: quantized.static(models.conv_net, QDQ, per_channel=True),
        lambda: quantized.static(models.conv_net, QOPERATOR),
        lambda: quantized.static(models.conv_net, QOPERATOR, per_channel=True),
        lambda: quantized.static(models.mlp, QOPERATOR),
        lambda: quantized.static(models.mlp, QDQ, bits=16),
        lambda: quantized.dynamic(models.mlp),
        lambda: quantized.dynamic(models.mlp, per_channel=True),
        lambda: quantized.dynamic(models.conv_net),
        lambda: quantized.dynamic(models.bert_layer),
        lambda: quantized.dynamic(quantized.recurrent, op_types_to_quantize=["LSTM"]),
    ],
    ids=[
        "qdq", "qdq channels", "qoperator", "qoperator channels", "qoperator gemm", "qdq 16", "dynamic", "dynamic channels",
        "dynamic conv", "dynamic bert", "dynamic lstm",
    ],
)  # fmt: skip
def test_only_the_rounding_of_activations_is_gone(build: Callable[[], ModelProto], tmp_path: Path) -> None:
    result = applied(Dequantize, build(), tmp_path)
    assert not left(result.model)
    # 8 bits leave 1/255 of a range, half of which is the largest error of one rounding; some layers add up.
    assert gap(result.model, tmp_path) < 0.05


def test_relu_that_lies_in_a_range_of_integers_comes_back(tmp_path: Path) -> None:
    byte = onnx.numpy_helper.from_array(np.array(0, np.uint8), "z")
    nodes_ = [
        node_of("MatMul", ["x", "w"], ["a"]),
        node_of("QuantizeLinear", ["a", "s", "z"], ["q"]),
        node_of("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    model = model_of(
        nodes_,
        [float_value("x", 2, 8)],
        [float_value("y", 2, 8)],
        [weight_of("w", 8, 8), float_tensor("s", 0.02), byte],
    )
    result = applied(Dequantize, model, tmp_path)
    assert kinds(read_structure(result.model)) == {"MatMul": 1, "Clip": 1, "Identity": 1}
    values = run_model(result.model, feeds_for(result.model))["y"]
    assert values.min() == 0.0
    assert gap(result.model, tmp_path) < 0.02  # half a step of 0.02 beside values up to about 1


def test_per_channel_weight_is_exact(tmp_path: Path) -> None:
    codes = np.arange(12, dtype=np.int8).reshape(4, 3)
    scales = np.array([0.5, 0.25, 2.0], np.float32)
    weights = [onnx.numpy_helper.from_array(codes, "c"), onnx.numpy_helper.from_array(scales, "s")]
    chain = [node_of("DequantizeLinear", ["c", "s"], ["w"], axis=1), node_of("MatMul", ["x", "w"], ["y"])]
    result = applied(Dequantize, model_of(chain, [float_value("x", 2, 4)], [float_value("y", 2, 3)], weights), tmp_path)
    [held] = read_structure(result.model).graph.initializer
    assert np.array_equal(onnx.numpy_helper.to_array(held), codes * scales)
    assert held.name == "w"


def test_weight_that_nothing_reads_is_gone(tmp_path: Path) -> None:
    model = quantized.rounded_weight()
    model.graph.node.append(node_of("DequantizeLinear", ["unused", "s"], ["nowhere"]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(4, np.int8), "unused"))
    result = applied(Dequantize, model, tmp_path)
    assert [tensor.name for tensor in read_structure(result.model).graph.initializer] == ["w_rounded"]


def test_input_in_integers_stays_one(tmp_path: Path) -> None:
    model = quantized.rounded_weight()
    model.graph.node.insert(0, node_of("DequantizeLinear", ["bytes", "s"], ["x"]))
    model.graph.input[0].CopyFrom(value_of("bytes", "UINT8", 2, 4))
    result = applied(Dequantize, model, tmp_path)
    assert result.manifest.notes["dequantize"]["left"] == {"DequantizeLinear": 1}  # type: ignore[index, call-overload]
    assert gap(result.model, tmp_path) < 1e-6


def test_quantized_network_inside_a_branch_is_taken_back(tmp_path: Path) -> None:
    model = models.if_model()
    branch = model.graph.node[0].attribute[0].g
    reader = next(node for node in branch.node if node.op_type in ("MatMul", "Gemm"))
    zero = onnx.numpy_helper.from_array(np.array(3, np.int8), "zero")
    branch.initializer.extend([float_tensor("scale", 0.05), zero])
    branch.node.insert(0, node_of("QuantizeLinear", [reader.input[0], "scale", "zero"], ["q"]))
    branch.node.insert(1, node_of("DequantizeLinear", ["q", "scale", "zero"], ["d"]))
    reader.input[0] = "d"
    result = applied(Dequantize, model, tmp_path)
    assert not left(result.model)
    assert gap(result.model, tmp_path) < 0.05


def test_several_kinds_in_one_model_are_all_taken_back(tmp_path: Path) -> None:
    model = quantized.dynamic(models.mlp, nodes_to_exclude=["Gemm_logits"])
    model.graph.output[0].name = "unrounded"
    for node in model.graph.node:
        for place, name in enumerate(node.output):
            node.output[place] = "unrounded" if name == "logits" else name
    zero = onnx.numpy_helper.from_array(np.array(100, np.uint8), "point")
    model.graph.initializer.extend([float_tensor("step", 0.05), zero])
    model.graph.node.append(node_of("QuantizeLinear", ["unrounded", "step", "point"], ["last_q"]))
    model.graph.node.append(node_of("DequantizeLinear", ["last_q", "step", "point"], ["logits"]))
    model.graph.output[0].name = "logits"
    result = applied(Dequantize, model, tmp_path)
    assert not left(result.model)
    assert gap(result.model, tmp_path) < 0.1


def convolution(*inputs: str, bias: bool = False, opset: int = 17) -> ModelProto:
    """`QLinearConv` of 8 channels to 8, a scale for each; some of its constants are `inputs` that may be replaced."""
    draw = np.random.default_rng(0)
    held = {
        "w": draw.integers(-127, 128, (8, 8, 1, 1), np.int8),
        "ws": np.geomspace(1e-3, 1e-1, 8, dtype=np.float32),
        "wz": np.zeros(8, np.int8),
        "b": np.arange(8, dtype=np.int32),
    }
    weights = [onnx.numpy_helper.from_array(values, name) for name, values in held.items() if name != "b" or bias]
    weights += [float_tensor("xs", 0.02), float_tensor("ys", 0.2)]
    weights += [onnx.numpy_helper.from_array(np.array(128, np.uint8), name) for name in ("xz", "yz")]
    read = ["xq", "xs", "xz", "w", "ws", "wz", "ys", "yz", *(["b"] if bias else [])]
    chain = [
        node_of("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        node_of("QLinearConv", read, ["yq"]),
        node_of("DequantizeLinear", ["yq", "ys", "yz"], ["y"]),
    ]
    model = model_of(chain, [float_value("x", 1, 8, 4, 4)], [float_value("y", 1, 8, 4, 4)], weights, opset=opset)
    kinds_of = {tensor.name: onnx.TensorProto.DataType.Name(tensor.data_type) for tensor in weights}
    model.graph.input.extend(value_of(name, kinds_of[name], *held[name].shape) for name in inputs)
    return model


@pytest.mark.parametrize("inputs", [("w",), ("w", "ws"), ("w", "ws", "wz")])
def test_weight_that_may_be_replaced_keeps_the_axis_of_its_scales(inputs: tuple[str, ...], tmp_path: Path) -> None:
    result = applied(Dequantize, convolution(*inputs), tmp_path)
    assert kinds(read_structure(result.model))["Conv"] == 1
    # Two roundings of activations to 8 bits: half a step each of about 1/100 and 1/250 of what is largest.
    assert gap(result.model, tmp_path) < 0.02


def test_scales_along_an_axis_are_refused_where_no_operator_has_them(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="'w' may have a scale for each channel"):
        applied(Dequantize, convolution("w", opset=11), tmp_path)


@pytest.mark.parametrize("inputs", [("b",), ("ws",)])
def test_bias_that_may_be_replaced_or_whose_scale_may_is_refused(inputs: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="QLinearConv, which cannot be taken back"):
        applied(Dequantize, convolution(*inputs, bias=True), tmp_path)


def test_bias_of_a_product_that_may_be_replaced_is_refused(tmp_path: Path) -> None:
    model = quantized.static(models.mlp, QOPERATOR)
    product = next(node for node in model.graph.node if node.op_type == "QGemm")
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == product.input[6])
    model.graph.input.append(value_of(bias.name, "INT32", *bias.dims))
    with pytest.raises(RefusedError, match="QGemm, which cannot be taken back"):
        applied(Dequantize, model, tmp_path)


def left(model: Path) -> list[str]:
    """Returns the quantized operators of a model."""
    return [node.op_type for node in nodes(read_structure(model)) if is_quantized(node.op_type)]


def gap(model: Path, folder: Path) -> float:
    """Returns how far the first output is from that of the model in `folder`, as a share of its largest magnitude.

    Both run as they are written: optimized, the runtime makes of a `DequantizeLinear` before a `MatMul` an operator that rounds
    activations to 8 bits too.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    feeds = feeds_for(folder / "source" / "model.onnx")
    before, after = (
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, feeds)[0]
        for path in (folder / "source" / "model.onnx", model)
    )
    return float(np.abs(before - after).max() / np.abs(before).max())
