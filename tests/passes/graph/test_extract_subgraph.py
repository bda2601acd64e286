"""Tests of the pass `extract_subgraph`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest
from pydantic import ValidationError

from olivelike.onnxfile.read import read_structure, signature
from olivelike.testing import models, odd_models
from olivelike.testing.building import float_value, model_of, node_of, weight_of
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal
from olivelike_passes.graph.extract_subgraph import ExtractSubgraph, ExtractSubgraphConfig
from tests.passes.running import applied, artifact, reasons


def ops(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def unknown() -> onnx.ModelProto:
    """A `Relu` behind an operator that nobody knows."""
    model = models.unknown_operator()
    node = model.graph.node[0]
    node.output[0] = "h"
    model.graph.node.append(node_of("Relu", ["h"], ["y"]))
    return model


def ending_in_y() -> onnx.ModelProto:
    model = models.mlp()
    model.graph.node[-1].output[0] = "y"
    model.graph.output[0].name = "y"
    return model


def foreign() -> onnx.ModelProto:
    """A fused operator of the runtime's, behind which ONNX's inference knows nothing."""
    nodes = [
        node_of("FusedMatMul", ["x", "w"], ["m"], domain="com.microsoft", alpha=0.5),
        node_of("Relu", ["m"], ["r"]),
        node_of("MatMul", ["r", "w"], ["y"]),
    ]
    weights = [weight_of("w", 64, 64)]  # so large that it is not read
    model = model_of(nodes, [float_value("x", "batch", 64)], [float_value("y", "batch", 64)], weights)
    model.opset_import.add(domain="com.microsoft", version=1)
    return model


class TestExtractSubgraph(GraphPassContract):
    pass_type = ExtractSubgraph
    configs = ({"outputs": ["r"]}, {"inputs": ["h"], "outputs": ["r"]}, {"nodes": ["Relu_*"]})
    odd_config: ClassVar = {"outputs": ["y"]}
    keeps_signature = False
    accepted: ClassVar = {"mlp": ending_in_y, "old": lambda: models.mlp(opset=7)}
    refused: ClassVar = {
        "no such value": Refusal(models.mlp, "no value 'hh': did you mean h?", {"outputs": ["hh"]}),
        "no such node": Refusal(
            models.mlp, "no node of the main graph matches '/encoder/*'", {"nodes": ["/encoder/*"]}
        ),
        "an input is missing": Refusal(
            odd_models.shared_between_branches, "the outputs also need 'x'", {"inputs": ["flag"], "outputs": ["y"]}
        ),
        "an idle input": Refusal(models.mlp, "reads the input 'r'", {"inputs": ["x", "r"], "outputs": ["h"]}),
        "nobody knows the type": Refusal(
            unknown, "the type or the rank of the value 'h' is declared nowhere", {"outputs": ["h"]}
        ),
        "nothing reads it": Refusal(odd_models.unused_outputs, "no output", {"nodes": ["Cast_nowhere"]}),
    }


def test_the_piece_holds_what_leads_from_the_inputs_to_the_outputs(tmp_path: Path) -> None:
    made = applied(ExtractSubgraph, models.mlp(), tmp_path, inputs=["h"], outputs=["logits"])
    model = read_structure(made.model)
    assert ops(model) == ["Relu", "Gemm"]
    assert [tensor.name for tensor in model.graph.initializer] == ["w2", "b2"]
    ends = signature(made.model)
    assert [(value.name, value.dtype, value.shape) for value in ends.inputs] == [("h", "float32", ("batch", 32))]


def test_the_halves_give_what_the_whole_gives(tmp_path: Path) -> None:
    whole = artifact(models.conv_net(), tmp_path).model
    first = applied(ExtractSubgraph, models.conv_net(), tmp_path / "first", outputs=["a"]).model
    rest = applied(ExtractSubgraph, models.conv_net(), tmp_path / "rest", inputs=["a"], outputs=["logits"]).model
    feeds = feeds_for(whole)
    middle = run_model(first, feeds)
    # The same operators in the same order on the same numbers.
    np.testing.assert_array_equal(run_model(rest, middle)["logits"], run_model(whole, feeds)["logits"])


def test_a_weight_can_become_an_input(tmp_path: Path) -> None:
    made = applied(ExtractSubgraph, models.mlp(), tmp_path, inputs=["x", "w1"], outputs=["h"])
    assert [tensor.name for tensor in read_structure(made.model).graph.initializer] == ["b1"]
    assert [value.shape for value in signature(made.model).inputs] == [("batch", 16), (16, 32)]


def test_what_a_loop_reads_from_around_it_comes_along_or_becomes_an_input(tmp_path: Path) -> None:
    whole = applied(ExtractSubgraph, odd_models.loop(), tmp_path / "whole", outputs=["y"])
    assert {tensor.name for tensor in read_structure(whole.model).graph.initializer} == {"w", "times"}
    piece = applied(ExtractSubgraph, odd_models.loop(), tmp_path / "piece", inputs=["start"], outputs=["y"])
    assert [value.name for value in signature(piece.model).inputs] == ["start"]
    alone = applied(ExtractSubgraph, odd_models.loop(), tmp_path / "alone", nodes=["Loop_*"])
    assert ops(read_structure(alone.model)) == ["Loop"]
    assert [value.name for value in signature(alone.model).inputs] == ["start"]


def test_the_runtime_is_asked_behind_operators_of_other_domains(tmp_path: Path) -> None:
    made = applied(ExtractSubgraph, foreign(), tmp_path, inputs=["m"], outputs=["r"])
    assert [(value.dtype, value.shape) for value in signature(made.model).inputs] == [("float32", ("batch", 64))]
    assert not read_structure(made.model).graph.initializer


def test_a_node_that_also_makes_an_input_makes_it_under_another_name(tmp_path: Path) -> None:
    nodes = [node_of("Split", ["x"], ["a", "b"], axis=1), node_of("Add", ["a", "b"], ["y"])]
    model = model_of(nodes, [float_value("x", 2, 8)], [float_value("y", 2, 4)], opset=11)
    made = read_structure(applied(ExtractSubgraph, model, tmp_path, inputs=["x", "a"], outputs=["y"]).model)
    assert [list(node.output) for node in made.graph.node] == [["a_unused", "b"], ["y"]]


def test_constants_that_named_nodes_read_come_along(tmp_path: Path) -> None:
    made = applied(ExtractSubgraph, models.conv_net(constants=True), tmp_path, nodes=["Conv_a"])
    assert ops(read_structure(made.model)) == ["Constant", "Constant", "Conv"]
    assert [value.name for value in signature(made.model).inputs] == ["image"]


def test_weights_that_are_inputs_too_stay_so(tmp_path: Path) -> None:
    made = applied(ExtractSubgraph, models.weights_as_inputs(ir_version=3), tmp_path, outputs=["m0"])
    model = read_structure(made.model)
    assert {tensor.name for tensor in model.graph.initializer} < {entry.name for entry in model.graph.input}


def test_functions_that_nothing_calls_are_gone(tmp_path: Path) -> None:
    model = odd_models.function()
    model.graph.node.append(node_of("Relu", ["x"], ["z"]))
    model.graph.output.append(float_value("z", "batch", 16))
    assert not read_structure(applied(ExtractSubgraph, model, tmp_path / "none", outputs=["z"]).model).functions
    assert len(read_structure(applied(ExtractSubgraph, model, tmp_path / "one", outputs=["y"]).model).functions) == 1


def test_an_output_that_is_an_input_is_handed_through(tmp_path: Path) -> None:
    made = applied(ExtractSubgraph, odd_models.output_is_input(), tmp_path, inputs=["x"], outputs=["x"])
    assert not ops(read_structure(made.model))


@pytest.mark.parametrize("settings", [{}, {"nodes": ["a"], "outputs": ["b"]}, {"outputs": ["a", "a"]}])
def test_a_configuration_that_names_no_piece_is_no_configuration(settings: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError):
        ExtractSubgraphConfig.model_validate(settings)


def test_models_with_training_graphs_are_refused(tmp_path: Path) -> None:
    model = models.mlp()
    model.training_info.add()
    assert "training graphs" in reasons(ExtractSubgraph, model, tmp_path, outputs=["h"])[0]
