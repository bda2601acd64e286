"""Tests of the pass `change_io_types`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest
from pydantic import ValidationError

from olivelike.onnxfile.check import validate_graph
from olivelike.onnxfile.read import read_structure, signature
from olivelike.testing import models, odd_models
from olivelike.testing.building import float_value, model_of, node_of, value_of, weight_of
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal, gap_between
from olivelike_passes.graph.change_io_types import ChangeIoTypes, ChangeIoTypesConfig
from tests.passes.running import applied, artifact


def half_inside() -> onnx.ModelProto:
    """What `float16` leaves: `x` float32 [batch, 16] cast to half, multiplied, cast back to `y`; `x` is read nowhere else."""
    weight = weight_of("w", 16, 16)
    half = onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight).astype(np.float16), "w")
    nodes = [
        node_of("Cast", ["x"], ["h"], to=onnx.TensorProto.FLOAT16),
        node_of("MatMul", ["h", "w"], ["m"]),
        node_of("Cast", ["m"], ["y"], to=onnx.TensorProto.FLOAT),
    ]
    return model_of(nodes, [float_value("x", "batch", 16)], [float_value("y", "batch", 16)], [half])


def lookup() -> onnx.ModelProto:
    """Token ids to rows: `ids` int64 [n] and `x` float32 [n, 16] to `y` float32 [n, 16] and `same` int64 [n]."""
    nodes = [
        node_of("Gather", ["table", "ids"], ["rows"]),
        node_of("Add", ["rows", "x"], ["y"]),
        node_of("Identity", ["ids"], ["same"]),
    ]
    return model_of(
        nodes,
        [value_of("ids", "INT64", "n"), float_value("x", "n", 16)],
        [float_value("y", "n", 16), value_of("same", "INT64", "n")],
        [weight_of("table", 2, 16)],
    )


class TestChangeIoTypes(GraphPassContract):
    pass_type = ChangeIoTypes
    configs = ({"types": {"float32": "float64"}}, {"types": {"float32": "float16", "int64": "int32"}})
    accepted: ClassVar = {
        "mlp": models.mlp,
        "lookup": lookup,
        "if": models.if_model,
        "loop": odd_models.loop,
        "function": odd_models.function,
        "output_is_weight": odd_models.output_is_weight,
        "copies": models.copies_input,
        "nothing to change": models.half,
        "weights_as_inputs": models.weights_as_inputs,
    }
    refused: ClassVar = {
        "unknown": Refusal(models.mlp, "no input 'y'; known: x", {"inputs": {"y": "float16"}}),
        "unknown output": Refusal(models.mlp, "no output 'x'; known: logits", {"outputs": {"x": "float16"}}),
        "strings": Refusal(models.string_input, "'word' holds string, which no cast", {"inputs": {"*": "int32"}}),
        "one value of two types": Refusal(
            odd_models.output_is_input, "'x' is an input and an output at once", {"inputs": {"x": "float16"}}
        ),
        "old opset": Refusal(lambda: models.mlp(opset=9), "bfloat16 takes opset 13", {"inputs": {"x": "bfloat16"}}),
    }


def test_casts_stand_at_the_edges_and_the_inside_is_the_same(tmp_path: Path) -> None:
    result = applied(ChangeIoTypes, lookup(), tmp_path, inputs={"ids": "int32"}, outputs={"y": "float16"})
    graph = read_structure(result.model).graph
    assert [(node.op_type, list(node.input), list(node.output)) for node in graph.node] == [
        ("Cast", ["ids"], ["ids_inside"]),
        ("Gather", ["table", "ids_inside"], ["rows"]),
        ("Add", ["rows", "x"], ["y_inside"]),
        ("Identity", ["ids_inside"], ["same"]),
        ("Cast", ["y_inside"], ["y"]),
    ]
    ends = signature(result.model)
    assert [value.dtype for value in (*ends.inputs, *ends.outputs)] == ["int32", "float32", "float16", "int64"]
    assert result.manifest.notes["change_io_types"] == {
        "before": {"y": "float32", "ids": "int64"},
        "after": {"y": "float16", "ids": "int32"},
    }


def test_casts_that_the_model_has_meet_the_new_ones_and_both_go(tmp_path: Path) -> None:
    result = applied(ChangeIoTypes, half_inside(), tmp_path, types={"float32": "float16"})
    graph = read_structure(result.model).graph
    assert [(node.op_type, list(node.input), list(node.output)) for node in graph.node] == [
        ("MatMul", ["x", "w"], ["y"])
    ]
    source = artifact(half_inside(), tmp_path / "again")
    feeds = {"x": np.linspace(-1, 1, 32, dtype=np.float16).reshape(2, 16)}
    before = run_model(source.model, {"x": feeds["x"].astype(np.float32)})["y"]
    np.testing.assert_array_equal(run_model(result.model, feeds)["y"], before.astype(np.float16))


def test_cast_that_loses_something_stays(tmp_path: Path) -> None:
    result = applied(ChangeIoTypes, half_inside(), tmp_path, types={"float32": "float64"})
    assert [node.op_type for node in read_structure(result.model).graph.node] == [
        "Cast",
        "Cast",
        "MatMul",
        "Cast",
        "Cast",
    ]


@pytest.mark.parametrize(
    "build", [models.mlp, models.if_model, odd_models.loop, odd_models.shared_between_branches, lookup]
)
def test_wider_types_change_no_number(build: odd_models.Build, tmp_path: Path) -> None:
    source = artifact(build(), tmp_path)
    result = applied(ChangeIoTypes, build(), tmp_path, types={"float32": "float64", "int64": "int32"})
    feeds = feeds_for(source.model)
    wide = {"float32": "float64", "int64": "int32", "bool": "bool"}
    after = run_model(result.model, {name: each.astype(wide[str(each.dtype)]) for name, each in feeds.items()})
    for name, values in run_model(source.model, feeds).items():
        assert after[name].dtype == wide[str(values.dtype)]
        np.testing.assert_array_equal(after[name].astype(values.dtype), values)


def test_value_that_is_input_and_output_changes_as_both(tmp_path: Path) -> None:
    result = applied(ChangeIoTypes, odd_models.output_is_input(), tmp_path, types={"float32": "float16"})
    validate_graph(result.model)
    values = np.arange(16, dtype=np.float16).reshape(1, 16) - 8
    got = run_model(result.model, {"x": values})
    np.testing.assert_array_equal(got["x"], values)
    np.testing.assert_array_equal(got["y"], np.maximum(values, 0))


def test_images_may_come_as_bytes(tmp_path: Path) -> None:
    result = applied(ChangeIoTypes, models.conv_net(), tmp_path, inputs={"image": "uint8"})
    source = artifact(models.conv_net(), tmp_path / "again")
    pixels = np.arange(64, dtype=np.uint8).reshape(1, 1, 8, 8)
    expected = run_model(source.model, {"image": pixels.astype(np.float32)})["logits"]
    assert gap_between(expected, run_model(result.model, {"image": pixels})["logits"]) == 0.0


def test_bfloat16_outputs_are_possible(tmp_path: Path) -> None:
    result = applied(ChangeIoTypes, models.mlp(), tmp_path, outputs={"logits": "bfloat16"})
    validate_graph(result.model)
    assert signature(result.model).outputs[0].dtype == "bfloat16"


def test_weights_that_are_inputs_keep_their_type(tmp_path: Path) -> None:
    result = applied(ChangeIoTypes, models.weights_as_inputs(), tmp_path, types={"float32": "float16"})
    graph = read_structure(result.model).graph
    assert {entry.name: entry.type.tensor_type.elem_type for entry in graph.input} == {
        "x": 10,
        "w0": 1,
        "w1": 1,
        "w2": 1,
    }


def test_nothing_to_change_is_no_configuration() -> None:
    with pytest.raises(ValidationError, match="nothing to change"):
        ChangeIoTypesConfig()
