"""Operators of a library that the workflow names: the model loads, passes leave its nodes alone, the library travels along."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest

import olivelike
from olivelike.contracts.extensions import PACKAGE, is_installed
from olivelike.digest import Json
from olivelike.errors import InputError
from olivelike.onnxfile.read import read_structure
from olivelike.sources.operator_libraries import operator_libraries
from olivelike.testing import models
from olivelike.testing.building import float_value, model_of, node_of, weight_of

Job = dict[str, Json]
needs_package = pytest.mark.skipif(not is_installed(), reason=f"needs the package {PACKAGE}")
DOMAIN = "ai.onnx.contrib"


def inverting() -> onnx.ModelProto:
    """Two layers around an operator of onnxruntime-extensions: `x` float32 [16, 16] to `y`, the same."""
    nodes = [
        node_of("MatMul", ["x", "w"], ["a"]),
        node_of("Inverse", ["a"], ["b"], domain=DOMAIN),
        node_of("MatMul", ["b", "v"], ["c"]),
        node_of("Identity", ["c"], ["y"]),
    ]
    ends = [float_value("x", 16, 16)], [float_value("y", 16, 16)]
    model = model_of(nodes, *ends, [weight_of("w", 16, 16), weight_of("v", 16, 16)])
    model.opset_import.add(domain=DOMAIN, version=1)
    return model


@pytest.fixture
def inverse_job(tmp_path: Path) -> Job:
    """A workflow over `inverting` that only builds."""
    models.save(inverting(), tmp_path)
    return {
        "model": {"path": str(tmp_path / "model.onnx"), "custom_operators": [PACKAGE]},
        "metrics": {"parity": {"type": "parity"}, "size": {"type": "size"}},
        "target": {"threads": 1},
        "output": {"path": str(tmp_path / "out")},
        "run": {"cache": str(tmp_path / "cache"), "executor": "inline"},
    }


@needs_package
@pytest.mark.parametrize(
    "steps",
    [
        [{"simplify": {}}, {"convert_opset": {"target": 18}}],
        [{"split": {"parts": 2}}, {"compose": {}}],
        [{"convert_ir_version": {"target": 9}}, {"extract_subgraph": {"outputs": ["y"]}}],
        [{"dynamic_quant": {}}],
    ],
)
def test_passes_leave_the_node_alone_and_the_library_travels_along(
    inverse_job: Job, tmp_path: Path, steps: list[Json]
) -> None:
    report = olivelike.run(inverse_job | {"passes": steps})
    assert report.status == "built"
    assert "parity.max_abs" in report.best.metrics
    model = read_structure(tmp_path / "out" / "model.onnx")
    assert [node.op_type for node in model.graph.node if node.domain == DOMAIN] == ["Inverse"]
    assert len(list((tmp_path / "out" / "custom_operators").iterdir())) == 1


@needs_package
def test_a_model_is_not_cut_where_nobody_knows_the_shape(inverse_job: Job) -> None:
    refused = olivelike.run(inverse_job | {"passes": [{"split": {"by": "nodes", "at": ["b"]}}]})
    assert "the rank of the value 'b' is declared nowhere" in str(refused.to_json())
    assert olivelike.run(inverse_job | {"passes": [{"split": {}}]}).status == "built"


@needs_package
def test_static_quantization_runs_the_model_with_its_library(inverse_job: Job) -> None:
    data: Json = {"calibration": {"random": {"samples": 16}, "batch": 16}}
    report = olivelike.run(inverse_job | {"data": data, "passes": [{"static_quant": {"data": "calibration"}}]})
    assert report.status == "built"


@needs_package
def test_a_library_can_be_a_file_of_the_users(inverse_job: Job, tmp_path: Path) -> None:
    [(_, library)] = operator_libraries([PACKAGE], tmp_path).items()
    shutil.copyfile(library, tmp_path / "mine.so")
    model: Json = {"path": str(tmp_path / "model.onnx"), "custom_operators": [str(tmp_path / "mine.so")]}
    assert olivelike.run(inverse_job | {"model": model, "passes": []}).status == "built"


def test_what_is_no_library_is_said_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"OL201 .*no library of custom operators 'none.so'"):
        operator_libraries(["none.so"], tmp_path)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.so").touch()
    with pytest.raises(InputError, match=r"OL110 .*called same.so"):
        operator_libraries(["a/same.so", "b/same.so"], tmp_path)


def test_a_file_that_cannot_be_loaded_is_an_answer_with_its_name(inverse_job: Job, tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("no library")
    model: Json = {"path": str(tmp_path / "model.onnx"), "custom_operators": ["text.so"]}
    job = inverse_job | {"model": model, "passes": []}
    with pytest.raises(InputError, match=r"there is no library of custom operators 'text.so'"):
        olivelike.run(job)
    model["custom_operators"] = [str(tmp_path / "text.so")]
    report = olivelike.run(job)
    assert report.status == "failed"
    assert "'custom_operators/text.so' cannot be loaded" in str(report.to_json())


@pytest.mark.skipif(is_installed(), reason=f"the package {PACKAGE} is installed here")
def test_a_package_that_is_missing_is_named_with_what_installs_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"OL211.*{PACKAGE} is not installed.*pip install {PACKAGE}"):
        operator_libraries([PACKAGE], tmp_path)
