"""Tests of the pass `convert_opset`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest
from pydantic import ValidationError

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.errors import RefusedError
from olivelike.onnxfile import light, write
from olivelike.onnxfile.check import validate_graph
from olivelike.onnxfile.read import opset, read_model, read_structure
from olivelike.onnxfile.walk import nodes
from olivelike.testing import models, odd_models
from olivelike.testing.building import float_value, model_of, node_of, value_of, whole_tensor
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal, gap_between
from olivelike.testing.run_pass import run_pass
from olivelike_passes.graph import convert_opset
from olivelike_passes.graph.convert_opset import ConvertOpset, ConvertOpsetConfig
from tests.passes.running import applied, artifact

NEWEST_THAT_RUNS = 25
"""The newest operator set of which the runtime has all the operators of these models."""


def softmax_function(version: int) -> onnx.ModelProto:
    text = """
    <ir_version: 8, opset_import: ["" : VERSION, "own" : 1]>
    g (float[2,3] x) => (float[2,3] y) { y = own.f(x) }
    <opset_import: ["" : VERSION], domain: "own">
    f (a) => (b) { b = Softmax(a) }
    """
    return onnx.parser.parse_model(text.replace("VERSION", str(version)))


def described() -> onnx.ModelProto:
    """A model with something written at every place that the converter leaves out."""
    model = models.conv_net(opset=12)
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.initializer):
        part.metadata_props.add(key="from", value=part.name)
        part.doc_string = f"about {part.name}"
    graph.quantization_annotation.add(tensor_name="c1")
    graph.input[0].type.denotation = "IMAGE"
    return model


class TestConvertOpset(GraphPassContract):
    pass_type = ConvertOpset
    configs = ({"target": 17}, {"target": 21})
    odd_config: ClassVar = {"target": 21}
    accepted: ClassVar = {
        "old": lambda: models.conv_net(opset=12),
        "older": lambda: models.mlp(opset=9),
        "constants": lambda: models.conv_net(opset=12, constants=True),
        "if": models.if_model,
        "strings": models.string_input,
        "repeated_opset": models.repeated_opset,
        "same": models.mlp,
        "function": odd_models.function,
        "loop": odd_models.loop,
    }
    refused: ClassVar = {
        "down without an adapter": Refusal(models.mlp, "no way from opset 17 to 9", {"target": 9}),
        "sparse": Refusal(odd_models.sparse_weight, "Sparse tensors not supported", {"target": 21}),
        "changed function": Refusal(
            lambda: softmax_function(11),
            "'own:f' has Softmax of version 11, which is another one in 17",
            {"target": 17},
        ),
    }


def test_model_imports_the_target_and_its_ir_version(tmp_path: Path) -> None:
    model = read_structure(applied(ConvertOpset, models.conv_net(opset=12), tmp_path, target=21).model)
    assert (opset(model), model.ir_version) == (21, 10)


def test_model_that_is_there_already_stays_byte_by_byte(tmp_path: Path) -> None:
    source = artifact(models.mlp(), tmp_path)
    result = applied(ConvertOpset, models.mlp(), tmp_path, target=17)
    assert result.model.read_bytes() == source.model.read_bytes()


def test_converted_operators_take_their_new_form(tmp_path: Path) -> None:
    node = onnx.helper.make_node("Squeeze", ["x"], ["y"], axes=[1])  # from opset 13 on, axes are an input
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph([node], "g", [value("x", 1, [2, 1])], [value("y", 1, [2])])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 11)], ir_version=7)
    result = applied(ConvertOpset, model, tmp_path, target=17)
    squeeze = read_structure(result.model).graph.node[-1]
    assert squeeze.op_type == "Squeeze"
    assert len(squeeze.input) == 2
    assert not squeeze.attribute


def test_way_down_that_does_not_exist_is_refused_while_running(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"OL301.*no way from opset 23 to 21.*Attention"):
        applied(ConvertOpset, models.attention23(), tmp_path, target=21)


@pytest.mark.parametrize(
    ("build", "target"),
    [
        *((lambda: models.conv_net(opset=9), target) for target in (10, 11, 13, 18, NEWEST_THAT_RUNS)),
        *((lambda: models.mlp(opset=7), target) for target in (8, 9, 13, 18, NEWEST_THAT_RUNS)),
        *((build, target) for build in (models.bert_layer, odd_models.loop) for target in (18, 21, NEWEST_THAT_RUNS)),
    ],
)
def test_every_version_up_gives_the_same_numbers(build: odd_models.Build, target: int, tmp_path: Path) -> None:
    source = artifact(build(), tmp_path / "again")
    feeds = feeds_for(source.model)
    before = run_model(source.model, feeds)
    after = run_model(applied(ConvertOpset, build(), tmp_path, target=target).model, feeds)
    assert all(gap_between(values, after[name]) < 1e-6 for name, values in before.items())  # sums in another order


@pytest.mark.parametrize("target", [11, 13, 15])
@pytest.mark.parametrize(
    "build", [models.mlp, models.bert_layer, models.if_model, odd_models.loop, odd_models.function]
)
def test_operators_that_only_came_to_take_more_types_go_down(
    build: odd_models.Build, target: int, tmp_path: Path
) -> None:
    source = artifact(build(), tmp_path / "again")
    result = applied(ConvertOpset, build(), tmp_path, target=target)
    model = read_structure(result.model)
    assert opset(model) == target
    assert not any(node.domain == convert_opset.HIDDEN for node in nodes(model))
    feeds = feeds_for(source.model)
    after = run_model(result.model, feeds)
    before = run_model(source.model, feeds)
    assert all(gap_between(values, after[name]) < 1e-6 for name, values in before.items())  # sums in another order


@pytest.mark.parametrize(
    ("node", "here", "target", "words"),
    [
        (node_of("Relu", ["x"], ["y"]), 17, 10, "No Adapter"),
        (node_of("Reshape", ["x", "s"], ["y"], allowzero=1), 17, 13, "Adapter"),
        (node_of("Gelu", ["x"], ["y"]), 20, 13, "Gelu"),
    ],
)
def test_operators_that_meant_less_do_not_go_down(
    node: onnx.NodeProto, here: int, target: int, words: str, tmp_path: Path
) -> None:
    weights = [whole_tensor("s", [1, 1, 2, 2])] if "s" in node.input else []
    model = model_of([node], [float_value("x", 1, 1, 2, 2)], [float_value("y", 1, 1, 2, 2)], weights, opset=here)
    with pytest.raises(RefusedError, match=rf"OL301.*no way from opset {here} to {target}.*{words}"):
        applied(ConvertOpset, model, tmp_path, target=target)


def test_newer_attributes_that_say_the_usual_are_left_out_on_the_way_down(tmp_path: Path) -> None:
    nodes = [
        node_of("Reshape", ["x", "s"], ["r"], allowzero=0),
        node_of("ReduceMean", ["r", "axes"], ["y"], keepdims=1, noop_with_empty_axes=0),
    ]
    weights = [whole_tensor("s", [2, 8]), whole_tensor("axes", [1])]
    model = model_of(nodes, [float_value("x", 4, 4)], [float_value("y", 2, 1)], weights, opset=18)
    source = artifact(model, tmp_path / "again")
    feeds = feeds_for(source.model)
    result = applied(ConvertOpset, model, tmp_path, target=13)
    validate_graph(result.model)
    np.testing.assert_array_equal(run_model(result.model, feeds)["y"], run_model(source.model, feeds)["y"])


def test_types_that_the_older_version_did_not_take_do_not_go_down(tmp_path: Path) -> None:
    """Multiplying 16-bit whole numbers came with opset 14."""
    model = model_of([node_of("Mul", ["x", "x"], ["y"])], [value_of("x", "INT16", 2)], [value_of("y", "INT16", 2)])
    with pytest.raises(RefusedError, match=r"no way from opset 17 to 13.*(INT16|int16)"):
        applied(ConvertOpset, model, tmp_path, target=13)


def test_operators_in_branches_are_converted_too(tmp_path: Path) -> None:
    """Softmax of opset 11 flattens what is behind its axis, and that of 13 does not: the same name, other numbers."""

    def branch(name: str) -> onnx.GraphProto:
        return onnx.helper.make_graph([node_of("Softmax", ["x"], [name])], name, [], [float_value(name, 2, 3, 4)])

    nodes = [node_of("If", ["flag"], ["y"], then_branch=branch("yes"), else_branch=branch("no"))]
    model = model_of(
        nodes, [value_of("flag", "BOOL"), float_value("x", 2, 3, 4)], [float_value("y", 2, 3, 4)], opset=11
    )
    source = artifact(model, tmp_path / "again")
    feeds = feeds_for(source.model)
    after = run_model(applied(ConvertOpset, model, tmp_path, target=17).model, feeds)["y"]
    assert gap_between(run_model(source.model, feeds)["y"], after) < 1e-6  # exponentials in another order


def test_functions_stay_and_import_the_new_version(tmp_path: Path) -> None:
    model = read_structure(applied(ConvertOpset, odd_models.function(), tmp_path, target=21).model)
    assert [(function.name, function.opset_import[0].version) for function in model.functions] == [("SquarePlus", 21)]


def test_what_is_written_of_the_parts_of_a_model_stays(tmp_path: Path) -> None:
    before = described()
    graph = read_structure(applied(ConvertOpset, described(), tmp_path, target=17).model).graph
    assert [node.metadata_props[0].value for node in graph.node] == [node.name for node in before.graph.node]
    assert (graph.metadata_props[0].value, graph.doc_string) == ("tiny", "about tiny")
    assert graph.input[:] == before.graph.input[:]
    assert next((t.doc_string, t.metadata_props[0].value) for t in graph.initializer) == ("about c1", "c1")
    assert [note.tensor_name for note in graph.quantization_annotation] == ["c1"]


def test_large_weights_come_back_from_beside_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "SMALL", 64)
    path = models.save_external(models.conv_net(opset=12), tmp_path / "source")
    source = Artifact(path.parent, Manifest("onnx", {"model": path.name}), "0" * 64)
    monkeypatch.setattr(light, "SMALL", 100)
    result = run_pass(ConvertOpset, source, {"target": 17}, tmp_path / "run")
    before, after = read_model(path), read_model(result.model)
    values = {tensor.name: tensor.raw_data for tensor in before.graph.initializer}
    assert {tensor.name: tensor.raw_data for tensor in after.graph.initializer if tensor.name in values} == values
    validate_graph(result.model)


def test_an_opset_that_the_installed_onnx_does_not_have_is_no_configuration() -> None:
    with pytest.raises(ValidationError, match="opset 999 does not exist"):
        ConvertOpsetConfig.model_validate({"target": 999})
