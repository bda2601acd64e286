"""Libraries of custom operators named on the command line: every command that opens a model takes them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from olivelike.contracts.extensions import PACKAGE
from olivelike.testing import models
from tests.cli.conftest import Command
from tests.engine.test_custom_operators import inverting, needs_package

OPERATORS = ("--custom-operators", PACKAGE)


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A model with an operator of onnxruntime-extensions, by its name in the test's folder."""
    return models.save(inverting(), tmp_path / "custom").relative_to(tmp_path).as_posix()


@needs_package
def test_apply_loads_the_library_and_hands_it_on(command: Command, model: str, tmp_path: Path) -> None:
    ended = command("apply", "simplify", model, "-o", "out", *OPERATORS)
    assert ended.code == 0, ended.err
    assert len(list((tmp_path / "out" / "custom_operators").iterdir())) == 1
    assert command("apply", "simplify", model, "-o", "again.onnx").code == 5


@needs_package
def test_inspect_says_which_operators_the_library_has(command: Command, model: str, tmp_path: Path) -> None:
    named = json.loads(command("inspect", model, "--json", *OPERATORS).out)
    assert (named["custom_operators"], named["unsupported"]) == ([], [])
    assert {row["op_type"]: row["runtime"] for row in named["operators"]}["Inverse"] == "library"
    unnamed = json.loads(command("inspect", model, "--json").out)
    assert unnamed["custom_operators"] == unnamed["unsupported"] == ["ai.onnx.contrib.Inverse"]
    models.save(models.unknown_operator(), tmp_path / "unknown")
    other = json.loads(command("inspect", "unknown/model.onnx", "--json", *OPERATORS).out)
    assert other["custom_operators"] == ["nowhere.Mystery"]
    misspelt = models.mlp()
    misspelt.graph.node[1].op_type = "Reluu"
    models.save(misspelt, tmp_path / "misspelt")
    wrong = json.loads(command("inspect", "misspelt/model.onnx", "--json", *OPERATORS).out)
    assert {row["op_type"]: row["runtime"] for row in wrong["operators"]}["Reluu"] != "library"


@needs_package
def test_diff_runs_both_models_with_the_library(command: Command, model: str) -> None:
    found = json.loads(command("diff", model, model, "--json", *OPERATORS).out)["values"]
    assert found["reason"] == ""
    assert [output["name"] for output in found["outputs"]] == ["y"]
    assert {layer["name"] for layer in found["layers"]} == {"a", "b", "c"}


@needs_package
def test_bench_and_profile_time_models_with_the_library(command: Command, model: str) -> None:
    ended = command("bench", model, model, "--batch", "16", "--seconds", "0.2", "--json", *OPERATORS)
    assert ended.code == 0, ended.err
    assert "p50" in json.loads(ended.out)["others"][0]["metrics"]
    ended = command("profile", model, "--batch", "16", "--runs", "10", "--json", *OPERATORS)
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["models"]


@needs_package
def test_blame_runs_both_models_with_the_library(command: Command, model: str, tmp_path: Path) -> None:
    assert command("apply", "dynamic_quant", model, "-o", "quantized.onnx", *OPERATORS).code == 0
    np.savez(tmp_path / "test.npz", x=np.random.default_rng(0).standard_normal((64, 16)).astype("float32"))
    ended = command("blame", model, "quantized.onnx", "--data", "test.npz", "-o", "mended.onnx", *OPERATORS)
    assert ended.code in (0, 3), ended.err
    assert (tmp_path / "mended.onnx").exists() == (ended.code == 0)
    assert command("blame", model, "quantized.onnx", "--data", "test.npz").code == 5


@pytest.mark.parametrize(
    "arguments",
    [
        ["apply", "strip", "m/model.onnx", "-o", "out.onnx"],
        ["inspect", "m/model.onnx"],
        ["diff", "m/model.onnx", "m/model.onnx"],
        ["bench", "m/model.onnx", "m/model.onnx"],
        ["profile", "m/model.onnx"],
        ["blame", "m/model.onnx", "m/model.onnx", "--data", "test.npz"],
    ],
)
def test_a_library_that_is_not_there_is_named_with_the_option(
    command: Command, arguments: list[str], tmp_path: Path
) -> None:
    models.save(models.mlp(), tmp_path / "m")
    np.savez(tmp_path / "test.npz", x=np.zeros((4, 16), "float32"))
    ended = command(*arguments, "--custom-operators", "none.so")
    assert ended.code == 2
    assert ended.err.splitlines()[-1].startswith(
        "OL201 --custom-operators: there is no library of custom operators 'none.so'"
    )


def test_a_file_that_is_no_library_is_named(command: Command, tmp_path: Path) -> None:
    models.save(models.unknown_operator(), tmp_path)
    (tmp_path / "text.so").write_text("no library")
    ended = command("inspect", "model.onnx", "--custom-operators", "text.so")
    assert ended.code == 5
    assert "the custom operators 'text.so' cannot be loaded" in ended.err
