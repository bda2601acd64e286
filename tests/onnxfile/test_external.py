"""Tests of finding external data."""

from __future__ import annotations

from pathlib import Path

from onnx import ModelProto, TensorProto

from olivelike.onnxfile.external import external_files, model_files
from olivelike.testing import models


def moved_out(model: ModelProto, tensor: TensorProto, location: str, folder: Path) -> Path:
    (folder / location).parent.mkdir(parents=True, exist_ok=True)
    (folder / location).write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = tensor.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_model_in_one_file_has_none(tmp_path: Path) -> None:
    path = models.save(models.mlp(), tmp_path)
    assert external_files(path) == ()
    assert model_files(path) == ("model.onnx",)


def test_files_below_the_folder_are_named_from_it(tmp_path: Path) -> None:
    model = models.mlp()
    path = moved_out(model, model.graph.initializer[0], "weights/one.bin", tmp_path)
    assert model_files(path) == ("model.onnx", "weights/one.bin")


def test_tensor_of_a_branch_is_found(tmp_path: Path) -> None:
    model = models.if_model()
    branch = model.graph.node[0].attribute[0].g
    assert external_files(moved_out(model, branch.initializer[0], "branch.bin", tmp_path)) == ("branch.bin",)


def test_tensor_of_a_constant_node_is_found(tmp_path: Path) -> None:
    model = models.conv_net(constants=True)
    tensor = model.graph.node[0].attribute[0].t
    assert external_files(moved_out(model, tensor, "constant.bin", tmp_path)) == ("constant.bin",)


def test_tensor_of_a_function_is_found(tmp_path: Path) -> None:
    model = models.conv_net(constants=True)
    function = model.functions.add(name="f", domain="mine")
    function.node.append(model.graph.node[0])
    tensor = model.functions[0].node[0].attribute[0].t
    assert external_files(moved_out(model, tensor, "function.bin", tmp_path)) == ("function.bin",)


def test_names_are_sorted_and_said_once(tmp_path: Path) -> None:
    model = models.mlp()
    for index, name in enumerate(["b", "a", "b", "a"]):
        path = moved_out(model, model.graph.initializer[index], name, tmp_path)
    assert external_files(path) == ("a", "b")
