"""Shapes are inferred without large weights, and with the values of small ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from olivelike.onnxfile.inference import forget_stated_shapes, inferred, inferred_strictly, typed
from olivelike.onnxfile.light import SMALL, is_stand_in
from olivelike.onnxfile.read import read_structure
from olivelike.onnxfile.sizes import byte_count
from olivelike.testing import models
from olivelike.testing.building import float_value, model_of, node_of, weight_of


def _reshaped(rows: int) -> onnx.ModelProto:
    """A product with a large weight, brought to a shape that is a constant."""
    shape = onnx.numpy_helper.from_array(np.asarray([-1, 4, rows // 4], np.int64), "shape")
    nodes = [node_of("MatMul", ["x", "w"], ["product"]), node_of("Reshape", ["product", "shape"], ["parted"])]
    nodes.append(node_of("Relu", ["parted"], ["y"]))
    return model_of(
        nodes,
        [float_value("x", "batch", rows)],
        [float_value("y", None, None, None)],
        [weight_of("w", rows, rows), shape],
    )


def _dims(model: onnx.ModelProto, name: str) -> list[int]:
    entry = next(entry for entry in model.graph.value_info if entry.name == name)
    return [dim.dim_value for dim in entry.type.tensor_type.shape.dim]


def test_a_small_constants_values_decide_about_shapes_and_a_large_ones_are_left_out() -> None:
    found = inferred(_reshaped(64))
    assert _dims(found, "parted") == [0, 4, 16]
    assert [tensor.name for tensor in found.graph.initializer if is_stand_in(tensor)] == ["w"]
    assert byte_count(found.graph.initializer[0]) > SMALL


def test_small_constants_beside_the_file_are_read_where_it_is_known(tmp_path: Path) -> None:
    path = models.save_external(_reshaped(64), tmp_path / "source")
    structure = read_structure(path)
    assert _dims(inferred(structure, path), "parted") == [0, 4, 16]


def test_a_typed_model_has_its_own_weights() -> None:
    model = _reshaped(64)
    made = typed(model)
    assert _dims(made, "product") == [0, 64]
    assert list(made.graph.initializer) == list(model.graph.initializer)


def test_what_an_operator_cannot_have_is_told_and_the_rest_is_found() -> None:
    nodes = [node_of("Relu", ["x"], ["r"]), node_of("MatMul", ["r", "w"], ["y"])]
    model = model_of(nodes, [float_value("x", 2, 3)], [float_value("y", None, None)], [weight_of("w", 5, 7)])
    found = inferred_strictly(model)
    assert "MatMul" in found.failed
    assert _dims(found.model, "r") == [2, 3]


def test_forgotten_shapes_are_inferred_anew() -> None:
    model = _reshaped(64)
    model.graph.value_info.append(float_value("parted", 1, 2, 3))
    forget_stated_shapes(model)
    assert _dims(inferred(model), "parted") == [0, 4, 16]
    assert not model.graph.output[0].type.tensor_type.HasField("shape")
