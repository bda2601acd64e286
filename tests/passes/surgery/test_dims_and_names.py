"""Names of dimensions and of inputs."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from olivelike.errors import RefusedError
from olivelike.onnxfile.read import signature
from olivelike.testing import models, odd_models
from tests.passes.surgery.operating import assert_equal_outputs, changed, listed, operated


@pytest.mark.parametrize(
    "step",
    [
        {"rename_input_dims": {"input": "x", "dim": 1, "name": "width"}},
        {"rename_input_dims": {"input": 0, "dim": -1, "name": "width"}},
        {"RenameInputDims": {"input_name": "x", "dim_idx": 1, "dim_name": "width"}},
        {"RenameInputDims": {"input_idx": 0, "dim_idx": 1, "dim_name": "width"}},
    ],
)
def test_a_number_becomes_a_name_on_this_input_alone(tmp_path: Path, step: dict[str, dict[str, str | int]]) -> None:
    model = models.matmul_chain(layers=1)
    result = operated(model, tmp_path, step)
    ends = signature(result.model)
    assert [value.shape for value in ends.inputs] == [("batch", "width")]
    assert [value.shape for value in ends.outputs] == [("batch", 16)]
    assert listed(result) == ["MatMul", "Relu"]
    assert changed(result) == [("rename_input_dims", 1)]


@pytest.mark.parametrize(
    "step",
    [
        {"rename_output_dims": {"output": "y", "dim": 0, "name": "rows"}},
        {"RenameOutputDims": {"output_idx": 0, "dim_idx": 0, "dim_name": "rows"}},
    ],
)
def test_an_output_dimension_gets_a_name(tmp_path: Path, step: dict[str, dict[str, str | int]]) -> None:
    model = models.matmul_chain(layers=1)
    result = operated(model, tmp_path, step)
    assert [value.shape for value in signature(result.model).outputs] == [("rows", 16)]
    assert_equal_outputs(model, result, tmp_path, rtol=0)


def test_what_is_not_there_is_refused_with_what_is(tmp_path: Path) -> None:
    model = models.mlp()
    with pytest.raises(RefusedError, match=r"there is no input 'z'\. hint: inputs: x"):
        operated(model, tmp_path / "a", {"rename_input_dims": {"input": "z", "dim": 0, "name": "n"}})
    with pytest.raises(RefusedError, match="the output 'logits' has 2 dimensions, and none is number 2"):
        operated(model, tmp_path / "b", {"rename_output_dims": {"output": 0, "dim": 2, "name": "n"}})
    with pytest.raises(RefusedError, match="cannot be called 'h': another value is"):
        operated(model, tmp_path / "c", {"rename_inputs": {"names": {"x": "h"}}})


def test_inputs_are_renamed_where_branches_read_them(tmp_path: Path) -> None:
    model = models.if_model()
    result = operated(model, tmp_path, {"RenameInputs": {"old_names": ["x", "flag"], "new_names": ["pixels", "x"]}})
    assert [value.name for value in signature(result.model).inputs] == ["x", "pixels"]
    branch = onnx.load(result.model).graph.node[0].attribute[0].g
    assert branch.node[0].input[0] == "pixels"


def test_an_output_that_is_a_renamed_input_keeps_its_name(tmp_path: Path) -> None:
    result = operated(odd_models.output_is_input(), tmp_path, {"rename_inputs": {"names": {"x": "pixels"}}})
    ends = signature(result.model)
    assert [value.name for value in (*ends.inputs, *ends.outputs)] == ["pixels", "y", "x"]
    assert listed(result) == ["Relu", "Identity"]


def test_a_weight_that_is_an_input_is_renamed_as_a_whole(tmp_path: Path) -> None:
    model = models.weights_as_inputs()
    name = model.graph.initializer[0].name
    result = operated(model, tmp_path, {"rename_inputs": {"names": {name: "mine"}}})
    graph = onnx.load(result.model).graph
    assert graph.initializer[0].name == "mine"
    assert "mine" in {entry.name for entry in graph.input}
    assert_equal_outputs(model, result, tmp_path, rtol=0)
