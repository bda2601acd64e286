"""Tests of the pass `float16`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from onnx import NodeProto, TensorProto, numpy_helper

from olivelike.onnxfile.read import read_structure, signature
from olivelike.testing import models, odd_models
from olivelike.testing.building import float_tensor, float_value, model_of, node_of, value_of, weight_of
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal
from olivelike_passes.precision.float16 import Float16
from tests.passes.running import applied, kinds, reasons


class TestFloat16(GraphPassContract):
    pass_type = Float16
    configs = ({}, {"keep_io_types": False}, {"op_block_list": ["Relu"]})
    accepted: ClassVar = {
        "conv_net": models.conv_net,
        "constants": lambda: models.conv_net(constants=True),
        "mlp": models.mlp,
        "if": models.if_model,
        "copies": models.copies_input,
        "bert_layer": models.bert_layer,
        "repeated_opset": models.repeated_opset,
    }
    refused: ClassVar = {
        "half": Refusal(models.half, "half precision already"),
        "quantized": Refusal(models.quantized, "quantized already"),
        "no weights": Refusal(models.string_input, "no float32 weight"),
        "weights as inputs": Refusal(models.weights_as_inputs, "fix_weights"),
        "unknown node": Refusal(models.mlp, "'nope', which matches no node", {"node_block_list": ["nope"]}),
    }


def test_weights_take_half_the_bytes_and_ends_stay_float32(tmp_path: Path) -> None:
    result = applied(Float16, models.mlp(), tmp_path)
    model = read_structure(result.model)
    assert {tensor.data_type for tensor in model.graph.initializer} == {model.graph.initializer[0].FLOAT16}
    assert signature(result.model) == signature(tmp_path / "source" / "model.onnx")


def test_ends_can_be_half_precision_too(tmp_path: Path) -> None:
    result = applied(Float16, models.mlp(), tmp_path, keep_io_types=False)
    assert signature(result.model).inputs[0].dtype == "float16"


def test_outputs_are_close(tmp_path: Path) -> None:
    result = applied(Float16, models.conv_net(), tmp_path)
    feeds = feeds_for(result.model)
    expected = run_model(tmp_path / "source" / "model.onnx", feeds)["logits"]
    gap = abs(run_model(result.model, feeds)["logits"] - expected).max() / abs(expected).max()
    assert gap < 1e-2  # float16 has 11 bits (5e-4); the terms of four layers add up


def test_blocked_node_keeps_its_weight_in_float32(tmp_path: Path) -> None:
    result = applied(Float16, models.mlp(), tmp_path, node_block_list=["Gemm_log*"])
    types = {tensor.name: tensor.data_type for tensor in read_structure(result.model).graph.initializer}
    assert (types["w1"], types["w2"]) == (10, 1)  # TensorProto.FLOAT16, TensorProto.FLOAT


def test_weights_beyond_the_range_are_clipped_and_tiny_ones_do_not_vanish(tmp_path: Path) -> None:
    weights = [float_tensor("w", [1e6, -1e6, 1.0, 0.0]), float_tensor("epsilon", [1e-12] * 4)]
    nodes = [node_of("Add", ["x", "w"], ["a"]), node_of("Add", ["a", "epsilon"], ["y"])]
    model = model_of(nodes, [float_value("x", 4)], [float_value("y", 4)], weights)
    result = applied(Float16, model, tmp_path)
    held = {t.name: numpy_helper.to_array(t).tolist() for t in read_structure(result.model).graph.initializer}
    assert held == {"w": [65504.0, -65504.0, 1.0, 0.0], "epsilon": [2**-24] * 4}
    assert result.manifest.notes["float16"] == {"clipped": {"w": 2}, "lifted": {"epsilon": 4}, "in_float32": {}}


def test_weight_that_both_precisions_read_is_held_in_both(tmp_path: Path) -> None:
    nodes = [node_of("Add", ["x", "w"], ["a"]), node_of("Mul", ["a", "w"], ["y"])]
    model = model_of(nodes, [float_value("x", 4)], [float_value("y", 4)], [weight_of("w", 4)])
    result = applied(Float16, model, tmp_path, op_block_list=["Mul"])
    types = {tensor.name: tensor.data_type for tensor in read_structure(result.model).graph.initializer}
    assert types == {"w": TensorProto.FLOAT, "w_float16": TensorProto.FLOAT16}


def test_input_that_an_operator_defines_as_float32_stays_so(tmp_path: Path) -> None:
    scales = float_tensor("scales", [1.0, 1.0, 2.0, 2.0])
    nodes = [node_of("Add", ["x", "w"], ["a"]), node_of("Resize", ["a", "", "scales"], ["y"])]
    ends = [float_value("x", 1, 1, 4, 4)], [float_value("y", 1, 1, 8, 8)]
    result = applied(Float16, model_of(nodes, *ends, [scales, weight_of("w", 1, 1, 4, 4)]), tmp_path)
    types = {tensor.name: tensor.data_type for tensor in read_structure(result.model).graph.initializer}
    assert types == {"scales": TensorProto.FLOAT, "w": TensorProto.FLOAT16}
    assert gap(result.model, tmp_path, "y") < 1e-3  # float16 has 11 bits: 5e-4


def test_types_that_attributes_name_follow(tmp_path: Path) -> None:
    half = TensorProto.FLOAT16
    nodes = [
        node_of("Shape", ["x"], ["shape"]),
        node_of("ConstantOfShape", ["shape"], ["zeros"]),
        node_of("Cast", ["whole"], ["numbers"], to=1),
        node_of("Add", ["x", "zeros"], ["a"]),
        node_of("Add", ["a", "numbers"], ["b"]),
        node_of("Add", ["b", "w"], ["y"]),
    ]
    ends = [float_value("x", 4), value_of("whole", "INT64", 4)], [float_value("y", 4)]
    result = applied(Float16, model_of(nodes, *ends, [weight_of("w", 4)]), tmp_path)
    made = {node.output[0]: node for node in read_structure(result.model).graph.node}
    assert made["zeros"].attribute[0].t.data_type == half and made["numbers"].attribute[0].i == half
    assert gap(result.model, tmp_path, "y") < 1e-3


def test_number_that_fills_a_value_stays_finite_and_does_not_vanish(tmp_path: Path) -> None:
    def filled(output: str, number: float) -> NodeProto:
        return node_of("ConstantOfShape", ["shape"], [output], value=float_tensor("value", [number]))

    nodes = [
        node_of("Shape", ["x"], ["shape"]),
        filled("mask", float(np.finfo(np.float32).min)),
        filled("zeros", 0.0),
        filled("epsilon", 1e-12),
        node_of("Mul", ["mask", "zeros"], ["nothing"]),  # NaN where the mask is infinite
        node_of("Add", ["x", "nothing"], ["a"]),
        node_of("Div", ["epsilon", "epsilon"], ["one"]),  # NaN where it is zero
        node_of("Mul", ["a", "one"], ["b"]),
        node_of("Add", ["b", "w"], ["y"]),
    ]
    model = model_of(nodes, [float_value("x", 4)], [float_value("y", 4)], [weight_of("w", 4)])
    result = applied(Float16, model, tmp_path)
    assert result.manifest.notes["float16"] == {"clipped": {"mask": 1}, "lifted": {"epsilon": 1}, "in_float32": {}}
    assert gap(result.model, tmp_path, "y") < 1e-3  # float16 has 11 bits: 5e-4


def test_loop_computes_in_half_precision_inside(tmp_path: Path) -> None:
    result = applied(Float16, odd_models.loop(), tmp_path)
    model = read_structure(result.model)
    body = next(node for node in model.graph.node if node.op_type == "Loop").attribute[0].g
    assert body.input[2].type.tensor_type.elem_type == TensorProto.FLOAT16
    assert "Cast" not in {node.op_type for node in body.node}
    assert gap(result.model, tmp_path, "y") < 1e-2  # three rounds add up


def test_blocked_loop_stays_whole_and_reads_what_it_read(tmp_path: Path) -> None:
    result = applied(Float16, odd_models.loop(), tmp_path, op_block_list=["Loop"])
    model = read_structure(result.model)
    body = next(node for node in model.graph.node if node.op_type == "Loop").attribute[0].g
    assert body.input[2].type.tensor_type.elem_type == TensorProto.FLOAT
    assert gap(result.model, tmp_path, "y") < 1e-2


def test_both_branches_give_one_type_and_names_they_share_are_kept_apart(tmp_path: Path) -> None:
    for build in (odd_models.shared_between_branches, odd_models.same_names_in_branches, odd_models.hidden_names):
        folder = tmp_path / build.__name__
        config = {"keep_io_types": True}
        if build is odd_models.same_names_in_branches:
            assert any("no float32 weight" in reason for reason in reasons(Float16, build(), folder, **config))
            continue
        result = applied(Float16, build(), folder, **config)
        assert gap(result.model, folder, "y") < 1e-2


def test_operator_of_the_models_own_stays_in_float32_between_casts(tmp_path: Path) -> None:
    model = odd_models.function()
    model.graph.initializer.append(weight_of("w", 16))
    model.graph.node[0].input[0] = "first"
    model.graph.node.insert(0, node_of("Mul", ["x", "w"], ["first"]))
    result = applied(Float16, model, tmp_path)
    assert kinds(read_structure(result.model))["SquarePlus"] == 2
    assert result.manifest.notes["float16"]["in_float32"] == {"SquarePlus": 2}  # type: ignore[index, call-overload]
    assert gap(result.model, tmp_path, "y") < 1e-2


def test_angles_of_sines_stay_exact(tmp_path: Path) -> None:
    nodes = [
        node_of("Cast", ["positions"], ["p"], to=1),
        node_of("Mul", ["p", "frequencies"], ["angles"]),
        node_of("Sin", ["angles"], ["s"]),
        node_of("Mul", ["s", "w"], ["y"]),
    ]
    weights = [float_tensor("frequencies", [1.0, 0.3, 0.1, 0.03]), weight_of("w", 4)]
    model = model_of(nodes, [value_of("positions", "INT64", 4)], [float_value("y", 4)], weights)
    result = applied(Float16, model, tmp_path)
    feeds = {"positions": np.array([5001, 5003, 5005, 5007])}
    expected = run_model(tmp_path / "source" / "model.onnx", feeds)["y"]
    # An angle of 5001 in float16 is off by up to 2, so that its sine says nothing; here only the products are rounded.
    assert np.abs(run_model(result.model, feeds)["y"] - expected).max() < 1e-3 * np.abs(expected).max()


def test_values_behind_operators_of_the_runtime_are_typed_by_its_own_definitions(tmp_path: Path) -> None:
    nodes = [
        node_of("FusedMatMul", ["x", "w"], ["a"], domain="com.microsoft", alpha=0.5),
        node_of("Gelu", ["a"], ["b"], domain="com.microsoft"),
        node_of("Add", ["b", "shift"], ["y"]),
    ]
    model = model_of(
        nodes, [float_value("x", 2, 8)], [float_value("y", 2, 8)], [weight_of("w", 8, 8), weight_of("shift", 8)]
    )
    model.opset_import.add(domain="com.microsoft", version=1)
    result = applied(Float16, model, tmp_path)
    assert {tensor.data_type for tensor in read_structure(result.model).graph.initializer} == {TensorProto.FLOAT16}
    assert gap(result.model, tmp_path, "y") < 1e-2


def gap(model: Path, folder: Path, output: str) -> float:
    """Returns how far an output is from that of the model in `folder`, as a share of its largest magnitude."""
    feeds = feeds_for(folder / "source" / "model.onnx")
    expected = run_model(folder / "source" / "model.onnx", feeds)[output]
    return float(np.abs(run_model(model, feeds)[output] - expected).max() / np.abs(expected).max())
