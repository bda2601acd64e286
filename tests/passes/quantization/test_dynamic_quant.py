"""Tests of the pass `dynamic_quant`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import onnxruntime
import pytest
from onnxruntime.quantization import QuantType, quantize_dynamic

from olivelike.errors import RefusedError
from olivelike.onnxfile.read import read_model, read_structure
from olivelike.onnxfile.walk import graphs, nodes
from olivelike.testing import models
from olivelike.testing.building import float_value, model_of, node_of, random_values, value_of, weight_of
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal, gap_between
from olivelike_passes.quantization.dequantize import Dequantize
from olivelike_passes.quantization.dynamic_quant import DynamicQuant
from tests.passes.running import applied, kinds, reasons

Build = Callable[[], onnx.ModelProto]


def lstm(kind: str = "LSTM", **attributes: object) -> onnx.ModelProto:
    """A recurrent layer of both directions and a product behind it: `x` float32 [5, batch, 16] to `y` [5, 2, batch, 4]."""
    gates = {"LSTM": 4, "GRU": 3}[kind] * 8
    nodes = [
        node_of(kind, ["x", "w", "r", "b"], ["h"], hidden_size=8, direction="bidirectional", **attributes),
        node_of("MatMul", ["h", "out"], ["y"]),
    ]
    weights = [
        weight_of("w", 2, gates, 16),
        weight_of("r", 2, gates, 8),
        weight_of("b", 2, 2 * gates),
        weight_of("out", 8, 4),
    ]
    return model_of(nodes, [float_value("x", 5, "batch", 16)], [float_value("y", 5, 2, "batch", 4)], weights)


def language_model(*, gemm: bool = False) -> onnx.ModelProto:
    """An embedding whose table is the last layer too: `ids` int64 [batch, 3] to `y` float32 [batch, 3, 40]."""
    turned = [node_of("Transpose", ["table"], ["turned"], perm=[1, 0]), node_of("MatMul", ["h", "turned"], ["y"])]
    first = [node_of("Gather", ["table", "ids"], ["e"]), node_of("MatMul", ["e", "w"], ["h"])]
    if gemm:
        first += [node_of("Reshape", ["h", "flat"], ["rows"])]
        turned = [node_of("Gemm", ["rows", "table"], ["y"], transB=1)]
    ends = [value_of("ids", "INT64", "batch", 3)], [float_value("y", *((None,) if gemm else ("batch", 3)), 40)]
    flat = onnx.numpy_helper.from_array(np.array([-1, 16]), "flat")
    return model_of([*first, *turned], *ends, [weight_of("table", 40, 16), weight_of("w", 16, 16), flat])


def fused_transformer() -> onnx.ModelProto:
    """Embedding and attention of the runtime's own domain: `ids` int32 [2, 3] to `y` float32 [2, 3, 16]."""
    nodes = [
        node_of("EmbedLayerNormalization", ["ids", "", "words", "places", "", "gamma", "beta"], ["e", "mask"],
                domain="com.microsoft", epsilon=1e-5),
        node_of("Attention", ["e", "qkv", "bias"], ["y"], domain="com.microsoft", num_heads=2),
    ]  # fmt: skip
    weights = [weight_of("words", 20, 16), weight_of("places", 8, 16), weight_of("gamma", 16), weight_of("beta", 16),
               weight_of("qkv", 16, 48), weight_of("bias", 48)]  # fmt: skip
    model = model_of(nodes, [value_of("ids", "INT32", 2, 3)], [float_value("y", 2, 3, 16)], weights)
    model.opset_import.add(domain="com.microsoft", version=1)
    return model


def wide_chain(kind: str = "MatMul") -> onnx.ModelProto:
    """A layer whose outputs differ much in size: `x` float32 [batch, 64] to `y` float32 [batch, 32]."""
    values = random_values("w", 64, 32) * np.logspace(-2, 0, 32, dtype=np.float32)
    turned = kind == "Gemm"
    node = node_of(kind, ["x", "w"], ["y"], **({"transB": 1} if turned else {}))
    weight = onnx.numpy_helper.from_array(np.ascontiguousarray(values.T if turned else values), "w")
    return model_of([node], [float_value("x", "batch", 64)], [float_value("y", "batch", 32)], [weight])


def error_of(result: Path, source: Path) -> float:
    """Returns the relative error of a quantized model's first output on random inputs (the norm of what differs)."""
    feeds = feeds_for(source, batch=16)
    expected, got = (np.concatenate([v.ravel() for v in run_model(path, feeds).values()]) for path in (source, result))
    return float(np.linalg.norm(expected - got) / np.linalg.norm(expected))


class TestDynamicQuant(GraphPassContract):
    pass_type = DynamicQuant
    configs = ({}, {"per_channel": True, "allow_conv": True}, {"weight_type": "uint8", "reduce_range": True})
    accepted: ClassVar = {
        "mlp": models.mlp,
        "conv_net": models.conv_net,
        "constants": lambda: models.conv_net(constants=True),
        "attention23": models.attention23,
        "bert_layer": models.bert_layer,
        "copies": models.copies_input,
        "repeated_opset": models.repeated_opset,
        "opset 12": lambda: models.conv_net(opset=12),
        "opset 9": lambda: models.mlp(opset=9),
        "branch": models.if_model,
        "lstm": lstm,
        "tied": language_model,
        "tied gemm": lambda: language_model(gemm=True),
        "fused": fused_transformer,
    }
    refused: ClassVar = {
        "quantized": Refusal(models.quantized, "quantized already (DequantizeLinear, QuantizeLinear)"),
        "half": Refusal(models.half, "half precision"),
        "strings": Refusal(models.string_input, "nothing to quantize"),
        "no constant weight": Refusal(models.unfolded, "nothing to quantize"),
        "weights as inputs": Refusal(models.weights_as_inputs, "fix_weights: true"),
        "unknown type": Refusal(models.mlp, "op_types names Gem,", {"op_types": ["Gem", "MatMul", "Gemm"]}),
        "unknown node": Refusal(models.mlp, "'nope', which matches no node", {"exclude_nodes": ["nope"]}),
        "unknown node to take": Refusal(models.mlp, "nodes has 'nope'", {"nodes": ["nope"]}),
        "type that is not there": Refusal(models.conv_net, "no LSTM", {"op_types": ["LSTM"]}),
        "convolutions alone": Refusal(models.conv_net, "3 to 11 times slower", {"op_types": ["Conv"]}),
        "recurrence without kernels": Refusal(lambda: lstm("GRU"), "LSTM` alone", {"op_types": ["LSTM"]}),
    }


def test_weights_in_constant_nodes_are_quantized_like_initializers(tmp_path: Path) -> None:
    lifted = applied(DynamicQuant, models.conv_net(constants=True), tmp_path / "constants", allow_conv=True)
    plain = applied(DynamicQuant, models.conv_net(), tmp_path / "initializers", allow_conv=True)
    assert kinds(read_structure(lifted.model)) == kinds(read_structure(plain.model))
    assert kinds(read_structure(lifted.model))["ConvInteger"] == 2


def test_standard_attention_stays_while_its_projections_are_quantized(tmp_path: Path) -> None:
    # The runtime takes ONNX's Attention (opset 23) for com.microsoft's and writes an invalid QAttention.
    found = kinds(read_structure(applied(DynamicQuant, models.attention23(), tmp_path).model))
    assert found["Attention"] == 1
    assert found["MatMulInteger"] == 4


def test_op_types_without_gemm_leave_gemm_alone(tmp_path: Path) -> None:
    result = applied(DynamicQuant, models.conv_net(), tmp_path, op_types=["Conv"], allow_conv=True)
    found = kinds(read_structure(result.model))
    assert found["ConvInteger"] == 2
    assert "MatMulInteger" not in found


def test_op_types_of_gemm_alone_quantize_it(tmp_path: Path) -> None:
    found = kinds(read_structure(applied(DynamicQuant, models.conv_net(), tmp_path, op_types=["Gemm"]).model))
    assert found["MatMulInteger"] == 1
    assert "ConvInteger" not in found


def test_excluded_nodes_stay_in_float32(tmp_path: Path) -> None:
    found = kinds(read_structure(applied(DynamicQuant, models.mlp(), tmp_path, exclude_nodes=["*logits"]).model))
    assert found["MatMulInteger"] == 1
    assert found["Gemm"] == 1


def test_header_stays_the_users(tmp_path: Path) -> None:
    model = models.mlp()
    model.metadata_props.add(key="mine", value="1")
    quantized = read_structure(applied(DynamicQuant, model, tmp_path).model)
    assert [(entry.key, entry.value) for entry in quantized.metadata_props] == [("mine", "1")]
    assert quantized.producer_name == model.producer_name
    assert not quantized.graph.value_info


def test_outputs_are_close(tmp_path: Path) -> None:
    result = applied(DynamicQuant, models.mlp(), tmp_path, per_channel=True)
    feeds = feeds_for(result.model)
    expected = run_model(tmp_path / "source" / "model.onnx", feeds)["logits"]
    gap = abs(run_model(result.model, feeds)["logits"] - expected).max() / abs(expected).max()
    assert gap < 0.05  # 8 bits: half a step is 0.4 % of the range, twice for weights and activations, in two layers


def test_runtime_stays_silent(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        applied(DynamicQuant, models.conv_net(), tmp_path)
    assert capfd.readouterr() == ("", "")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_all_reasons_are_said_at_once(tmp_path: Path) -> None:
    found = reasons(DynamicQuant, models.mlp(), tmp_path, op_types=["Gem"], exclude_nodes=["nope"])
    assert len(found) == 3


def test_convolutions_stay_and_the_notes_say_why(tmp_path: Path) -> None:
    result = applied(DynamicQuant, models.conv_net(), tmp_path)
    found = kinds(read_structure(result.model))
    assert (found["Conv"], found["MatMulInteger"]) == (2, 1)
    notes = result.manifest.notes["dynamic_quant"]
    assert notes["quantized"] == {"Gemm": 1}
    ((reason, names),) = notes["left"].items()
    assert "allow_conv: true" in reason
    assert names == ["Conv_a", "Conv_d"]


@pytest.mark.parametrize("gemm", [False, True])
@pytest.mark.parametrize("settings", [{}, {"per_channel": True}, {"weight_type": "uint8", "per_channel": True}])
def test_tied_embedding_is_held_once_as_integers(tmp_path: Path, gemm: bool, settings: dict[str, object]) -> None:
    result = applied(DynamicQuant, language_model(gemm=gemm), tmp_path, **settings)
    tables = [tensor for tensor in read_structure(result.model).graph.initializer if list(tensor.dims) == [40, 16]]
    assert [tensor.data_type in (tensor.INT8, tensor.UINT8) for tensor in tables] == [True]
    assert error_of(result.model, tmp_path / "source/model.onnx") < 0.02  # three products of 8 bits in a row


def test_weights_behind_a_transpose_stay_where_types_leave_it_out(tmp_path: Path) -> None:
    result = applied(DynamicQuant, language_model(), tmp_path, op_types=["MatMul"])
    assert kinds(read_structure(result.model)) == {
        "Gather": 1, "DynamicQuantizeLinear": 1, "MatMulInteger": 1, "Cast": 1, "Mul": 2, "Transpose": 1, "MatMul": 1,
    }  # fmt: skip


def test_weights_in_branches_are_quantized(tmp_path: Path) -> None:
    result = applied(DynamicQuant, models.if_model(), tmp_path)
    assert kinds(read_structure(result.model))["MatMulInteger"] == 2
    assert not any(graph.initializer for graph in list(graphs(read_structure(result.model)))[1:])
    assert error_of(result.model, tmp_path / "source/model.onnx") < 0.02  # 8 bits, one layer


@pytest.mark.parametrize("per_channel", [False, True])
def test_lstm_becomes_the_runtimes_integer_one(tmp_path: Path, per_channel: bool) -> None:
    result = applied(DynamicQuant, lstm(), tmp_path, per_channel=per_channel)
    assert kinds(read_structure(result.model))["DynamicQuantizeLSTM"] == 1
    assert error_of(result.model, tmp_path / "source/model.onnx") < 0.03  # 8 bits, five steps that feed each other


def test_recurrent_operators_without_kernels_stay(tmp_path: Path) -> None:
    result = applied(DynamicQuant, lstm("GRU"), tmp_path)
    assert kinds(read_structure(result.model))["GRU"] == 1
    assert list(result.manifest.notes["dynamic_quant"]["left"].values()) == [["GRU_h"]]


@pytest.mark.parametrize("settings", [{}, {"per_channel": True}, {"weight_type": "uint8"}])
def test_fused_embedding_and_attention_become_the_runtimes_integer_ones(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    result = applied(DynamicQuant, fused_transformer(), tmp_path, **settings)
    assert kinds(read_structure(result.model)) == {
        "QEmbedLayerNormalization": 1, "DynamicQuantizeLinear": 1, "QAttention": 1,
    }  # fmt: skip
    assert error_of(result.model, tmp_path / "source/model.onnx") < 0.05  # 8 bits, tables and norm too


@pytest.mark.parametrize("replaceable", [False, True])
def test_fused_embedding_whose_norm_is_no_constant_stays(tmp_path: Path, replaceable: bool) -> None:
    model = fused_transformer()
    if replaceable:
        model.graph.input.append(float_value("gamma", 16))
    else:
        model.graph.node.insert(0, node_of("Neg", ["beta"], ["turned"]))
        model.graph.node[1].input[6] = "turned"
    result = applied(DynamicQuant, model, tmp_path)
    assert kinds(read_structure(result.model))["EmbedLayerNormalization"] == 1
    assert "gamma and beta" in next(iter(result.manifest.notes["dynamic_quant"]["left"]))
    assert error_of(result.model, tmp_path / "source/model.onnx") < 0.05  # 8 bits


def test_new_nodes_have_names_of_their_own(tmp_path: Path) -> None:
    model = models.matmul_chain()
    model.graph.node[1].name = "m0_cast"  # as a new node would be called
    there = applied(DynamicQuant, model, tmp_path / "there")
    back = read_model(applied(Dequantize, read_model(there.model), tmp_path / "back").model)
    again = applied(DynamicQuant, back, tmp_path / "again")
    for result in (there, again):
        names = [node.name for node in nodes(read_structure(result.model))]
        assert len(names) == len(set(names)), names


def test_shared_input_is_quantized_once(tmp_path: Path) -> None:
    found = kinds(read_structure(applied(DynamicQuant, models.attention23(), tmp_path).model))
    assert found["DynamicQuantizeLinear"] == 2  # one for the three of q, k and v, and one for the output projection


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("build", [models.matmul_chain, models.mlp, lambda: wide_chain("Gemm"), language_model])
def test_runtime_fuses_every_product(tmp_path: Path, build: Build, per_channel: bool) -> None:
    result = applied(DynamicQuant, build(), tmp_path, per_channel=per_channel)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(result.model), options, providers=["CPUExecutionProvider"])
    found = kinds(read_structure(tmp_path / "optimized.onnx"))
    assert not {"MatMulInteger", "Transpose"} & set(found), found
    assert found.get("DynamicQuantizeMatMul", 0) + found.get("MatMulIntegerToFloat", 0) >= 1


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("weight_type", ["int8", "uint8"])
@pytest.mark.parametrize("build", [models.mlp, models.matmul_chain, wide_chain, lambda: wide_chain("Gemm")])
def test_error_is_not_larger_than_the_runtimes_quantizers(
    tmp_path: Path, build: Build, weight_type: str, per_channel: bool
) -> None:
    result = applied(DynamicQuant, build(), tmp_path, per_channel=per_channel, weight_type=weight_type)
    source, theirs = tmp_path / "source/model.onnx", tmp_path / "theirs.onnx"
    kind = QuantType.QInt8 if weight_type == "int8" else QuantType.QUInt8
    quantize_dynamic(source, theirs, per_channel=per_channel, weight_type=kind)
    assert error_of(result.model, source) <= 1.02 * error_of(theirs, source)  # 2 %: sums are rounded in another order


def test_scale_per_channel_helps_where_channels_differ(tmp_path: Path) -> None:
    whole, each = (applied(DynamicQuant, wide_chain(), tmp_path / str(c), per_channel=c) for c in (False, True))
    feeds = feeds_for(whole.model, batch=16)
    expected = run_model(tmp_path / "False/source/model.onnx", feeds)["y"][:, 0]
    gaps = [gap_between(expected, run_model(result.model, feeds)["y"][:, 0]) for result in (whole, each)]
    # The first channel is a hundredth of the last: about one step of what the whole has.
    assert gaps[1] < 0.03
    assert gaps[0] > 0.3


def test_channel_of_zeros_gives_zeros(tmp_path: Path) -> None:
    model = wide_chain()
    values = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
    values[:, 3] = 0
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(values, "w"))
    for number, settings in enumerate(({"per_channel": True}, {"per_channel": True, "weight_type": "uint8"}, {})):
        result = applied(DynamicQuant, model, tmp_path / str(number), **settings)
        assert not run_model(result.model, feeds_for(result.model))["y"][:, 3].any()


@pytest.mark.parametrize("value", [0.0, 0.25, -3.0])
def test_constant_weight_is_exact(tmp_path: Path, value: float) -> None:
    model = wide_chain()
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.full((64, 32), value, np.float32), "w"))
    result = applied(DynamicQuant, model, tmp_path)
    feeds = {"x": np.ones((2, 64), np.float32)}  # has a code of its own: 255
    assert gap_between(np.full((2, 32), 64 * value), run_model(result.model, feeds)["y"]) < 1e-6  # float32


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("per_channel", [False, True])
def test_weight_that_is_not_finite_is_refused_by_name(tmp_path: Path, value: float, per_channel: bool) -> None:
    model = wide_chain()
    values = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
    values[40, 7] = value
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(values, "w"))
    with pytest.raises(RefusedError, match="the weight 'w' holds NaN or an infinity"):
        applied(DynamicQuant, model, tmp_path, per_channel=per_channel)


def test_sum_too_long_for_32_bits_stays_in_float32(tmp_path: Path) -> None:
    weight = onnx.numpy_helper.from_array(np.ones((70_000, 1), np.float32), "long")
    nodes = [node_of("MatMul", ["x", "long"], ["y"])]
    model = model_of(nodes, [float_value("x", 1, 70_000)], [float_value("y", 1, 1)], [weight])
    assert "sum of 70000 products may overflow" in reasons(DynamicQuant, model, tmp_path)[0]


def test_weight_that_others_read_too_stays_beside_its_integers(tmp_path: Path) -> None:
    model = wide_chain()
    model.graph.node.append(node_of("ReduceSum", ["w"], ["sum"]))
    model.graph.output.append(float_value("sum", 1, 1))
    result = applied(DynamicQuant, model, tmp_path)
    assert {"w", "w_quantized"} <= {tensor.name for tensor in read_structure(result.model).graph.initializer}


def test_only_named_nodes_are_taken(tmp_path: Path) -> None:
    result = applied(DynamicQuant, models.matmul_chain(), tmp_path, nodes=["*m1"])
    assert result.manifest.notes["dynamic_quant"]["quantized"] == {"MatMul": 1}


@pytest.mark.parametrize("opset", [11, 13, 17, 19, 21, 23])
def test_runtime_runs_every_opset(tmp_path: Path, opset: int) -> None:
    for name, build in {"mlp": models.mlp, "conv": models.conv_net}.items():
        result = applied(DynamicQuant, build(opset=opset), tmp_path / name, allow_conv=True, per_channel=True)
        assert error_of(result.model, tmp_path / name / "source/model.onnx") < 0.1  # 8 bits, some four layers


def test_most_sensitive_layers_stay_in_float32(tmp_path: Path) -> None:
    model = models.matmul_chain()
    values = onnx.numpy_helper.to_array(model.graph.initializer[1]).copy()
    values[3, 5] = 100  # next to it, all other weights of the layer round to zero
    model.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(values, "w1"))
    result = applied(DynamicQuant, model, tmp_path, data="data", most_sensitive_kept=1)
    assert result.manifest.notes["dynamic_quant"]["kept"] == ["MatMul_m1"]
    assert "w1" in {tensor.name for tensor in read_structure(result.model).graph.initializer}


def test_convolutions_that_stay_anyway_do_not_count_among_the_most_sensitive(tmp_path: Path) -> None:
    model = models.conv_net()
    values = onnx.numpy_helper.to_array(model.graph.initializer[2]).copy()
    values[3, 2] = 100  # the layer that loses most
    model.graph.initializer[2].CopyFrom(onnx.numpy_helper.from_array(values, "c2"))
    last = node_of("Gemm", ["logits", "last"], ["y"])
    weights = [*model.graph.initializer, weight_of("last", 4, 4)]
    model = model_of([*model.graph.node, last], [*model.graph.input], [float_value("y", "batch", 4)], weights)
    result = applied(DynamicQuant, model, tmp_path, data="data", most_sensitive_kept=1)
    assert result.manifest.notes["dynamic_quant"]["kept"][0].startswith("Gemm")
