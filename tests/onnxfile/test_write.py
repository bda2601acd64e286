"""Tests of writing models."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from olivelike.onnxfile.check import validate_graph
from olivelike.onnxfile.external import is_external
from olivelike.onnxfile.read import read_model, read_structure
from olivelike.onnxfile.sizes import byte_count
from olivelike.onnxfile.walk import tensors
from olivelike.onnxfile.write import ALIGNMENT, SMALL, write_model
from olivelike.testing import models
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for


def test_small_model_is_one_file(tmp_path: Path) -> None:
    write_model(models.mlp(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_large_model_has_one_file_of_external_data(tmp_path: Path) -> None:
    write_model(models.mlp(hidden=64), tmp_path, external_above=1000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]


def test_external_tensors_are_aligned_and_small_ones_stay_inside(tmp_path: Path) -> None:
    path = write_model(models.mlp(hidden=512), tmp_path, external_above=0)
    for tensor in read_structure(path).graph.initializer:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        assert is_external(tensor) == (byte_count(tensor) >= SMALL)
        assert int(entries.get("offset", 0)) % ALIGNMENT == 0


@pytest.mark.parametrize("external_above", [0, 10**9])
def test_equal_models_give_equal_bytes(tmp_path: Path, external_above: int) -> None:
    written = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_model(models.conv_net(), tmp_path / name, external_above=external_above)
        written.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert written[0] == written[1]


def test_runtime_and_checker_read_external_data(tmp_path: Path) -> None:
    model = models.conv_net()
    inside = models.save(model, tmp_path / "inside")
    outside = models.save_external(models.conv_net(), tmp_path / "outside")
    validate_graph(outside)
    onnx.checker.check_model(str(outside))
    feeds = feeds_for(inside)
    assert (run_model(inside, feeds)["logits"] == run_model(outside, feeds)["logits"]).all()


def test_external_tensors_of_the_source_are_streamed_or_taken_in(tmp_path: Path) -> None:
    source = models.save_external(models.mlp(hidden=64), tmp_path / "source")
    expected = read_model(source).SerializeToString(deterministic=True)
    for external_above in (0, 10**9):
        folder = tmp_path / str(external_above)
        folder.mkdir()
        path = write_model(read_structure(source), folder, external_above=external_above, beside=source)
        assert read_model(path).SerializeToString(deterministic=True) == expected


def test_typed_fields_become_raw_data(tmp_path: Path) -> None:
    model = models.mlp(hidden=64)
    first = model.graph.initializer[0]
    values = onnx.numpy_helper.to_array(first)
    first.CopyFrom(onnx.helper.make_tensor(first.name, onnx.TensorProto.FLOAT, values.shape, values.ravel()))
    path = write_model(model, tmp_path, external_above=0)
    assert (onnx.numpy_helper.to_array(read_model(path).graph.initializer[0]) == values).all()


def test_strings_and_constant_nodes_stay_inside(tmp_path: Path) -> None:
    path = write_model(models.conv_net(constants=True), tmp_path, external_above=0)
    assert not any(map(is_external, tensors(read_structure(path))))


def test_metadata_survives(tmp_path: Path) -> None:
    model = models.mlp()
    model.metadata_props.add(key="character", value="abc")
    model.graph.node[0].doc_string = "why"
    read = read_model(write_model(model, tmp_path))
    assert read.metadata_props[0].value == "abc"
    assert read.graph.node[0].doc_string == "why"


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 300), st.integers(0, 20_000))
def test_what_was_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, hidden: int, above: int) -> None:
    model = models.mlp(hidden=hidden)
    expected = model.SerializeToString(deterministic=True)
    path = write_model(model, tmp_path_factory.mktemp("written"), external_above=above)
    assert read_model(path).SerializeToString(deterministic=True) == expected


@pytest.mark.parametrize(
    ("kind", "dims", "count"),
    [
        ("FLOAT", [2, 3], 24),
        ("FLOAT16", [5], 10),
        ("INT4", [3], 2),
        ("UINT2", [5], 2),
        ("BOOL", [], 1),
        ("INT64", [0], 0),
    ],
)
def test_bytes_are_counted_from_type_and_shape(kind: str, dims: list[int], count: int) -> None:
    tensor = onnx.TensorProto(data_type=onnx.TensorProto.DataType.Value(kind), dims=dims)
    assert byte_count(tensor) == count
