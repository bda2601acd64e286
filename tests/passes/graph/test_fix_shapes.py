"""Tests of the pass `fix_shapes`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import onnx
import pytest
from pydantic import ValidationError

from olivelike.errors import RefusedError
from olivelike.onnxfile.read import read_structure, signature
from olivelike.testing import models, odd_models
from olivelike.testing.building import float_value, model_of, node_of, value_of, weight_of, whole_tensor
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal
from olivelike_passes.graph.fix_shapes import FixShapes, FixShapesConfig
from tests.passes.running import applied


def joined() -> onnx.ModelProto:
    """A cache grows: `past` float32 [batch, p, 4] and `new` [batch, s, 4] to `present` [batch, p + s, 4]."""
    return model_of(
        [node_of("Concat", ["past", "new"], ["present"], axis=1)],
        [float_value("past", "batch", "p", 4), float_value("new", "batch", "s", 4)],
        [float_value("present", "batch", "p + s", 4)],
    )


def padded() -> onnx.ModelProto:
    """An input whose second dimension is a formula: `x` float32 [n, n + 1] to `y`, the same."""
    return model_of([node_of("Relu", ["x"], ["y"])], [float_value("x", "n", "n + 1")], [float_value("y", "n", "n + 1")])


def counted() -> onnx.ModelProto:
    """How long the output is depends on values: `x` float32 [n] to `places` int64 [1, found]."""
    return model_of(
        [node_of("NonZero", ["x"], ["places"])], [float_value("x", "n")], [value_of("places", "INT64", 1, "found")]
    )


def flattened() -> onnx.ModelProto:
    """A linear layer that takes images of 4 x 4 only, its shapes dynamic: `x` float32 [b, h, w] to `y` float32 [b, 3]."""
    nodes = [node_of("Reshape", ["x", "shape"], ["flat"]), node_of("MatMul", ["flat", "w"], ["y"])]
    model = model_of(
        nodes,
        [float_value("x", "b", "h", "w")],
        [float_value("y", "b", 3)],
        [whole_tensor("shape", [0, -1]), weight_of("w", 16, 3)],
    )
    model.graph.value_info.append(float_value("flat", "b", "length"))
    return model


class TestFixShapes(GraphPassContract):
    pass_type = FixShapes
    configs = ({"dims": {"batch": 2}},)
    accepted: ClassVar = {
        "mlp": models.mlp,
        "conv": lambda: models.conv_net(opset=12),
        "if": models.if_model,
        "loop": odd_models.loop,
        "strings": models.string_input,
        "function": odd_models.function,
        "quantized": models.quantized,
        "attention": models.attention23,
    }
    refused: ClassVar = {
        "unknown dimension": Refusal(
            models.mlp, "no input has a dimension 'bath'; did you mean batch?", {"dims": {"bath": 1}}
        ),
        "unknown input": Refusal(models.mlp, "no input 'y'", {"inputs": {"y": [1, 16]}}),
        "another rank": Refusal(models.mlp, "has 2 dimensions, and [1, 16, 1] has 3", {"inputs": {"x": [1, 16, 1]}}),
        "fixed": Refusal(
            models.mlp, "dimension 1 of the input 'x' is 16 for good, and cannot be 8", {"inputs": {"x": [1, 8]}}
        ),
        "two sizes": Refusal(models.mlp, "'batch' would be 3 and 2", {"inputs": {"x": [2, 16]}, "dims": {"batch": 3}}),
        "formula": Refusal(padded, "'n + 1' of the input 'x' comes to 3, and cannot be 4", {"inputs": {"x": [2, 4]}}),
        "output only": Refusal(counted, "no input has a dimension 'found'", {"dims": {"found": 3}}),
        "no tensor": Refusal(odd_models.scalars, "has 0 dimensions", {"inputs": {"x": [1]}}),
        "impossible": Refusal(flattened, "an operator cannot have these sizes", {"dims": {"h": 4, "w": 5, "b": 1}}),
    }


def shapes(model: Path) -> dict[str, tuple[int | str, ...]]:
    ends = signature(model)
    return {value.name: value.shape for value in (*ends.inputs, *ends.outputs)}


def test_formulas_over_fixed_dimensions_become_numbers(tmp_path: Path) -> None:
    result = applied(FixShapes, joined(), tmp_path, dims={"batch": 1, "p": 7, "s": 2})
    assert shapes(result.model) == {"past": (1, 7, 4), "new": (1, 2, 4), "present": (1, 9, 4)}
    assert result.manifest.notes["fix_shapes"] == {"dims": {"batch": 1, "p": 7, "s": 2}, "dynamic": {}}


def test_what_is_not_named_stays_dynamic_and_is_noted(tmp_path: Path) -> None:
    result = applied(FixShapes, joined(), tmp_path, dims={"batch": 1, "s": 2})
    assert shapes(result.model)["present"] == (1, "p + 2", 4)
    assert result.manifest.notes["fix_shapes"]["dynamic"] == {"past": ["p"], "present": ["p + 2"]}  # type: ignore[index,call-overload]


def test_size_that_depends_on_values_stays_dynamic(tmp_path: Path) -> None:
    assert shapes(applied(FixShapes, counted(), tmp_path, dims={"n": 5}).model) == {"x": (5,), "places": (1, "found")}


def test_shape_of_one_input_fixes_its_dimensions_everywhere(tmp_path: Path) -> None:
    result = applied(FixShapes, joined(), tmp_path, inputs={"past": [3, "keep", "keep"]})
    assert shapes(result.model) == {"past": (3, "p", 4), "new": (3, "s", 4), "present": (3, "p + s", 4)}


def test_pattern_gives_several_inputs_their_shape(tmp_path: Path) -> None:
    result = applied(FixShapes, joined(), tmp_path, inputs={"*": [1, 2, 4], "past": [1, 6, 4]})
    assert shapes(result.model) == {"past": (1, 6, 4), "new": (1, 2, 4), "present": (1, 8, 4)}


def test_size_of_a_formula_that_cannot_be_worked_out_is_taken_as_it_is(tmp_path: Path) -> None:
    assert shapes(applied(FixShapes, padded(), tmp_path, inputs={"x": [2, 3]}).model)["y"] == (2, 3)


def test_dimensions_without_a_name_take_numbers_and_outputs_follow(tmp_path: Path) -> None:
    result = applied(FixShapes, odd_models.no_shapes(), tmp_path, inputs={"x": [3, 5]})
    assert shapes(result.model) == {"x": (3, 5), "y": (3, 3)}


def test_input_without_a_shape_gets_one(tmp_path: Path) -> None:
    model = models.mlp()
    model.graph.input[0].type.tensor_type.ClearField("shape")
    assert shapes(applied(FixShapes, model, tmp_path, inputs={"x": [3, 16]}).model) == {"x": (3, 16), "logits": (3, 4)}


def test_stated_shapes_of_inner_values_follow_and_none_is_added(tmp_path: Path) -> None:
    graph = read_structure(applied(FixShapes, flattened(), tmp_path, dims={"b": 2, "h": 2, "w": 8}).model).graph
    assert graph.value_info[:] == [float_value("flat", 2, 16)]


def test_stated_shape_that_was_wrong_is_put_right(tmp_path: Path) -> None:
    model = flattened()
    model.graph.value_info[0].CopyFrom(float_value("flat", 1, 16))  # an exporter's example batch, left behind
    graph = read_structure(applied(FixShapes, model, tmp_path, dims={"b": 2, "h": 2, "w": 8}).model).graph
    assert graph.value_info[:] == [float_value("flat", 2, 16)]


def test_dimension_of_size_zero_is_a_size(tmp_path: Path) -> None:
    assert shapes(applied(FixShapes, joined(), tmp_path, dims={"p": 0, "s": 4}).model)["present"] == ("batch", 4, 4)


def test_operators_refuse_sizes_while_running_with_their_words(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"OL301.*cannot have these sizes.*MatMul"):
        applied(FixShapes, flattened(), tmp_path, dims={"b": 1, "h": 3, "w": 3})


@pytest.mark.parametrize("settings", [{}, {"dims": {"a": -1}}, {"inputs": {"x": ["batch"]}}])
def test_nothing_and_negative_sizes_are_no_configuration(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FixShapesConfig.model_validate(settings)
