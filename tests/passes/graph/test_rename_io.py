"""Tests of the pass `rename_io`."""

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
from olivelike.testing.building import float_tensor, float_value, model_of, node_of, value_of
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal
from olivelike_passes.graph.rename_io import RenameIo, RenameIoConfig
from tests.passes.running import applied, artifact


def cached() -> onnx.ModelProto:
    """Two caches that become new ones: `past.0.key` and `past.1.key` float32 [s0, s0 + 1] to `present.0` and `present.1`."""
    ends = [(f"past.{n}.key", f"present.{n}") for n in range(2)]
    return model_of(
        [node_of("Relu", [given], [made]) for given, made in ends],
        [float_value(given, "s0", "s0 + 1") for given, _ in ends],
        [float_value(made, "s0", "s0 + 1") for _, made in ends],
    )


def named_as_wanted() -> onnx.ModelProto:
    """An inner value, a weight and a branch's value are called as the input is to be called: `x` and `flag` to `y`."""

    def branch(kind: str) -> onnx.GraphProto:
        nodes = [node_of(kind, ["x"], ["tokens"]), node_of("Add", ["tokens", "ids"], ["out"])]
        return onnx.helper.make_graph(nodes, kind, [], [float_value("out", 2)])

    nodes = [
        node_of("Mul", ["x", "mask"], ["ids"]),
        node_of("If", ["flag"], ["y"], then_branch=branch("Relu"), else_branch=branch("Neg")),
    ]
    inputs = [float_value("x", 2), value_of("flag", "BOOL")]
    return model_of(nodes, inputs, [float_value("y", 2)], [float_tensor("mask", [1.0, 2.0])])


class TestRenameIo(GraphPassContract):
    pass_type = RenameIo
    configs = ({"names": {"*": "new.*"}}, {"names": {"*": "*"}})
    keeps_signature = False
    accepted: ClassVar = {
        "mlp": models.mlp,
        "if": models.if_model,
        "copies": models.copies_input,
        "weights_as_inputs": models.weights_as_inputs,
        "function": odd_models.function,
    }
    refused: ClassVar = {
        "unknown": Refusal(models.mlp, "no input or output 'logit'; did you mean logits?", {"names": {"logit": "y"}}),
        "no match": Refusal(models.mlp, "no input or output 'past.*'", {"names": {"past.*": "*"}}),
        "two of one name": Refusal(models.mlp, "2 inputs or outputs would be called 'x'", {"names": {"logits": "x"}}),
        "unknown dim": Refusal(models.mlp, "no dimension 'bath'; did you mean batch?", {"dims": {"bath": "b"}}),
        "dims without names": Refusal(
            odd_models.no_shapes, "the model has no dimension 'a'", {"dims": {"a": "b"}, "names": {"x": "z"}}
        ),
    }


@pytest.mark.parametrize("build", odd_models.RUNNABLE.values(), ids=odd_models.RUNNABLE)
def test_renamed_model_computes_what_the_old_one_did(build: odd_models.Build, tmp_path: Path) -> None:
    source = artifact(build(), tmp_path)
    renamed = applied(RenameIo, build(), tmp_path, names={"*": "new.*"}).model
    feeds = feeds_for(source.model)
    expected = run_model(source.model, feeds)
    got = run_model(renamed, {f"new.{name}": values for name, values in feeds.items()})
    assert list(got) == [f"new.{name}" for name in expected]
    for name, values in expected.items():
        np.testing.assert_array_equal(got[f"new.{name}"], values)


def test_patterns_carry_the_rest_of_a_name_and_whole_names_go_first(tmp_path: Path) -> None:
    names = {"past.*.key": "cache_*", "past.1.key": "last", "present.*": "next_*"}
    ends = signature(applied(RenameIo, cached(), tmp_path, names=names).model)
    assert [value.name for value in ends.inputs] == ["cache_0", "last"]
    assert [value.name for value in ends.outputs] == ["next_0", "next_1"]


def test_two_ends_may_trade_names(tmp_path: Path) -> None:
    result = applied(RenameIo, cached(), tmp_path, names={"past.0.key": "past.1.key", "past.1.key": "past.0.key"})
    assert [node.input[0] for node in read_structure(result.model).graph.node] == ["past.1.key", "past.0.key"]


def test_dimensions_are_renamed_inside_formulas_too(tmp_path: Path) -> None:
    result = applied(RenameIo, cached(), tmp_path, dims={"s0": "length"})
    assert signature(result.model).inputs[0].shape == ("length", "length + 1")


def test_inner_values_make_way_in_branches_too(tmp_path: Path) -> None:
    source = artifact(named_as_wanted(), tmp_path)
    result = applied(RenameIo, named_as_wanted(), tmp_path, names={"x": "tokens", "y": "ids", "flag": "mask"})
    validate_graph(result.model)
    assert result.manifest.notes["rename_io"] == {
        "names": {"x": "tokens", "flag": "mask", "y": "ids"},
        "made_way": {"mask": "mask_1", "ids": "ids_1"},
        "dims": {},
    }
    values = np.array([-1.0, 3.0], np.float32)
    for flag in (True, False):
        before = run_model(source.model, {"x": values, "flag": np.array(flag)})["y"]
        after = run_model(result.model, {"tokens": values, "mask": np.array(flag)})["ids"]
        np.testing.assert_array_equal(after, before)


def test_types_and_quantization_of_a_value_follow_its_name(tmp_path: Path) -> None:
    model = models.mlp()
    model.graph.value_info.append(float_value("h", "batch", 32))
    note = model.graph.quantization_annotation.add(tensor_name="x")
    note.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="h")
    graph = read_structure(applied(RenameIo, model, tmp_path, names={"x": "h"}).model).graph
    assert [entry.name for entry in graph.value_info] == ["h_1"]
    assert [
        (note.tensor_name, note.quant_parameter_tensor_names[0].value) for note in graph.quantization_annotation
    ] == [("h", "h_1")]


def test_dimension_that_has_the_new_name_already_is_not_made_equal(tmp_path: Path) -> None:
    model = model_of([node_of("Relu", ["x"], ["y"])], [float_value("x", "a", "b")], [float_value("y", "a", "b")])
    config = RenameIoConfig(dims={"a": "b"})
    assert RenameIo().unsuitable(model, config, target=None) == [  # type: ignore[arg-type]
        "2 dimensions would be called 'b', as if they were equal"
    ]


@pytest.mark.parametrize("names", [{"a*b*": "c"}, {"a": "b*"}, {"": "x"}, {"x": ""}])
def test_pattern_that_says_nothing_is_no_configuration(names: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        RenameIoConfig(names=names)


def test_nothing_to_rename_is_no_configuration() -> None:
    with pytest.raises(ValidationError, match="nothing to rename"):
        RenameIoConfig()
