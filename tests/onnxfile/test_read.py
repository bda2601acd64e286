"""Tests of reading models."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from olivelike.errors import InputError
from olivelike.onnxfile.read import Value, opset, read_model, read_structure, signature, signature_of
from olivelike.testing import models


def test_signature_names_types_and_shapes(tmp_path: Path) -> None:
    found = signature(models.save(models.conv_net(), tmp_path))
    assert found.inputs == (Value("image", "float32", ("batch", 1, 8, 8)),)
    assert found.outputs == (Value("logits", "float32", ("batch", 4)),)


def test_initializers_among_the_inputs_are_left_out() -> None:
    assert [value.name for value in signature_of(models.weights_as_inputs()).inputs] == ["x"]


def test_strings_booleans_and_scalars_are_named() -> None:
    assert signature_of(models.string_input()).inputs[0].dtype == "string"
    assert signature_of(models.if_model()).inputs[0] == Value("flag", "bool", ())
    assert signature_of(models.half()).inputs[0].dtype == "float16"


def test_unknown_dimension_and_unknown_rank_differ() -> None:
    model = models.mlp()
    model.graph.input[0].type.tensor_type.shape.dim[0].Clear()
    model.graph.output[0].type.tensor_type.ClearField("shape")
    found = signature_of(model)
    assert found.inputs[0].shape == ("?", 16)
    assert found.outputs[0].shape == ("...",)


def test_sequence_is_no_tensor() -> None:
    model = models.mlp()
    sequence = onnx.helper.make_tensor_sequence_value_info("s", onnx.TensorProto.FLOAT, None)
    model.graph.output.append(sequence)
    assert signature_of(model).outputs[1].dtype == "sequence"


def test_opset_of_each_domain_and_none() -> None:
    model = models.string_input()
    assert (opset(model), opset(model, "ai.onnx"), opset(model, "ai.onnx.ml"), opset(model, "nowhere")) == (
        17,
        17,
        3,
        0,
    )


def test_repeated_import_counts_once_with_the_highest_version() -> None:
    model = models.repeated_opset()
    model.opset_import[1].version = 13
    assert opset(model) == 17


def test_structure_leaves_external_data_alone(tmp_path: Path) -> None:
    path = models.save_external(models.mlp(hidden=64), tmp_path)
    (tmp_path / "model.onnx.data").unlink()
    assert len(read_structure(path).graph.initializer) == 4


def test_model_is_read_with_its_external_data(tmp_path: Path) -> None:
    path = models.save_external(models.mlp(hidden=64), tmp_path)
    assert read_model(path).SerializeToString(deterministic=True) == models.mlp(hidden=64).SerializeToString(
        deterministic=True
    )


def test_missing_external_data_are_said_when_read(tmp_path: Path) -> None:
    path = models.save_external(models.mlp(hidden=64), tmp_path)
    (tmp_path / "model.onnx.data").unlink()
    with pytest.raises(InputError, match="OL203"):
        read_model(path)
