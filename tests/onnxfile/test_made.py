"""Tests of tensors whose values are made as they are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from olivelike.onnxfile.made import Made
from olivelike.onnxfile.read import read_model, read_structure
from olivelike.onnxfile.tensors import mapped
from olivelike.onnxfile.write import write_model
from olivelike.testing import models


def announced(name: str, kind: int, *dims: int) -> onnx.TensorProto:
    return onnx.TensorProto(name=name, data_type=kind, dims=dims)


def model_with(*tensors: onnx.TensorProto) -> onnx.ModelProto:
    model = models.mlp()
    model.graph.initializer.extend(tensors)
    return model


@pytest.mark.parametrize("external_above", [0, 10**9])
def test_values_are_made_as_the_model_is_written_inside_or_outside(tmp_path: Path, external_above: int) -> None:
    codes, scales = np.arange(2000, dtype=np.int8).reshape(2, 1000), np.ones(2, np.float32)
    pair = announced("codes", onnx.TensorProto.INT8, 2, 1000), announced("scales", onnx.TensorProto.FLOAT, 2)
    made = Made()
    calls = []
    made.announce(pair, lambda: calls.append(1) or (codes, scales))  # type: ignore[func-returns-value]
    path = write_model(model_with(*pair), tmp_path, external_above=external_above, made=made)
    written = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in read_model(path).graph.initializer}
    assert (written["codes"] == codes).all()
    assert (written["scales"] == scales).all()
    assert calls == [1]


def test_four_bit_values_come_packed(tmp_path: Path) -> None:
    tensor = announced("four", onnx.TensorProto.UINT4, 4, 600)
    made = Made()
    made.announce([tensor], lambda: [np.full(1200, 0x21, np.uint8)])
    path = write_model(model_with(tensor), tmp_path, external_above=0, made=made)
    read = next(t for t in read_model(path).graph.initializer if t.name == "four")
    assert onnx.numpy_helper.to_array(read).astype(np.uint8)[0, :4].tolist() == [1, 2, 1, 2]


def test_values_that_do_not_fill_the_tensor_are_an_error(tmp_path: Path) -> None:
    tensor = announced("short", onnx.TensorProto.INT8, 10)
    made = Made()
    made.announce([tensor], lambda: [np.zeros(9, np.int8)])
    with pytest.raises(ValueError, match="'short' takes 10 bytes as it was announced, and 9 were made"):
        write_model(model_with(tensor), tmp_path, made=made)


def test_mapped_values_are_those_of_the_file(tmp_path: Path) -> None:
    model = models.mlp(hidden=512)
    inside = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    path = write_model(model, tmp_path, external_above=0)
    for tensor in onnx.load(path, load_external_data=False).graph.initializer:
        values = mapped(tensor, path)
        assert (values == inside[tensor.name]).all()
        assert isinstance(values, np.memmap) == (tensor.data_location == tensor.EXTERNAL)


def test_what_is_made_of_a_weight_that_stays_is_read_from_where_it_lay(tmp_path: Path) -> None:
    source = models.save_external(models.mlp(hidden=64), tmp_path / "source")
    before = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in read_model(source).graph.initializer}
    model = read_structure(source)
    weights = [tensor for tensor in model.graph.initializer if len(tensor.dims) == 2]
    made = Made()
    # A new weight before all others moves those to other places in the new file.
    first = announced("first", onnx.TensorProto.FLOAT, 4096)
    made.announce([first], lambda: [np.zeros(4096, np.float32)])
    rest = list(model.graph.initializer)
    negated = [announced(f"{weight.name}_negated", weight.data_type, *weight.dims) for weight in weights]
    del model.graph.initializer[:]
    model.graph.initializer.extend([first, *rest, *negated])
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    for tensor in negated:
        origin = held[tensor.name.removesuffix("_negated")]
        made.announce([held[tensor.name]], lambda origin=origin: [-mapped(origin, source)])  # type: ignore[misc]
    (tmp_path / "out").mkdir()
    path = write_model(model, tmp_path / "out", external_above=0, beside=source, made=made)
    after = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in read_model(path).graph.initializer}
    for name, values in before.items():
        assert (after[name] == values).all()
        assert (after.get(f"{name}_negated", -values) == -values).all()
    assert f"{weights[0].name}_negated" in after


@pytest.mark.parametrize("external_above", [0, 10**9])
def test_a_tensor_in_an_attribute_keeps_its_values_whatever_its_name(tmp_path: Path, external_above: int) -> None:
    new = announced("value", onnx.TensorProto.FLOAT, 2000)
    model = model_with(new)
    constant = onnx.numpy_helper.from_array(np.full(1, 7, np.float32), "value")
    model.graph.node.append(onnx.helper.make_node("ConstantOfShape", ["shape"], ["sevens"], value=constant))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([3], np.int64), "shape"))
    made = Made()
    made.announce([new], lambda: [np.ones(2000, np.float32)])
    read = read_model(write_model(model, tmp_path, external_above=external_above, made=made))
    [held] = read.graph.node[-1].attribute
    assert onnx.numpy_helper.to_array(held.t).tolist() == [7]
    assert onnx.numpy_helper.to_array(next(t for t in read.graph.initializer if t.name == "value")).sum() == 2000
