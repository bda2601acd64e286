"""`olivelike blame`: its answer as text and as JSON, its exit codes, the repaired file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from olivelike.testing import models
from olivelike_passes.quantization.dynamic_quant import DynamicQuant
from olivelike_passes.quantization.static_quant import StaticQuant
from tests.cli.conftest import Command
from tests.engine.blame.conftest import multiply
from tests.passes.running import applied


@pytest.fixture
def pair_of_models(tmp_path: Path) -> Path:
    """A folder with `base.onnx`, `good.onnx`, `bad.onnx` (one scale times 8) and `data.npz`."""
    base = models.matmul_chain(layers=6, width=64)
    good = onnx.load(applied(StaticQuant, base, tmp_path / "made", data="data").model)
    models.save(base, tmp_path).rename(tmp_path / "base.onnx")
    onnx.save(good, tmp_path / "good.onnx")
    onnx.save(multiply(good, ["w3_scale"]), tmp_path / "bad.onnx")
    features = np.random.default_rng(0).standard_normal((32, 64)).astype("float32")
    np.savez(tmp_path / "data.npz", features=features, labels=np.arange(32) % 64)
    return tmp_path


GIVEN = ("--data", "data.npz", "--input", "x=features")


def test_the_culprit_and_both_repairs_are_named(command: Command, pair_of_models: Path) -> None:
    ended = command("blame", "base.onnx", "bad.onnx", *GIVEN, "-o", "fixed.onnx")
    assert ended.code == 0, ended.err
    assert "1 node causes it" in ended.out
    assert "  MatMul_m3  MatMul, drop if it alone stays quantized" in ended.out
    assert "cheapest repair: set w3_scale to what fits BASE's weights" in ended.out
    assert 'exclude_nodes: ["MatMul_m3"]' in ended.out
    assert "written to fixed.onnx" in ended.out
    again = command("blame", "base.onnx", "fixed.onnx", *GIVEN)
    assert "no drop shown" in again.out


def test_json_holds_the_whole_answer_under_a_format_number(command: Command, pair_of_models: Path) -> None:
    ended = command("blame", "base.onnx", "bad.onnx", *GIVEN, "--json")
    answer = json.loads(ended.out)
    assert (answer["format"], answer["verdict"], answer["metric"]) == (1, "found", "distance")
    assert [culprit["name"] for culprit in answer["culprits"]] == ["MatMul_m3"]
    assert answer["repairs"][0]["scales"] == ["w3_scale"]
    assert answer["repairs"][1]["exclude_nodes"] == ["MatMul_m3"]
    assert answer["remaining"] <= answer["target"] < answer["drop"]
    assert answer["samples"] == 32
    assert len(answer["units"]) >= 6
    assert answer["evaluations"] > 2


def test_a_good_model_is_exit_0_and_nothing_is_written(command: Command, pair_of_models: Path) -> None:
    ended = command("blame", "base.onnx", "good.onnx", *GIVEN, "-o", "fixed.onnx")
    assert ended.code == 0
    assert "no drop shown: there is nobody to blame" in ended.out
    assert not (pair_of_models / "fixed.onnx").exists()


def test_a_drop_that_float_does_not_cure_is_exit_3(command: Command, pair_of_models: Path) -> None:
    base = onnx.load(pair_of_models / "base.onnx")
    model = onnx.load(applied(DynamicQuant, base, pair_of_models / "dynamic").model)
    next(node for node in model.graph.node if node.op_type == "Relu").op_type = "Neg"  # no quantizer touches it
    onnx.save(model, pair_of_models / "other.onnx")
    ended = command("blame", "base.onnx", "other.onnx", *GIVEN)
    assert (ended.code, "unexplained: with all 6 quantized units in float" in ended.out) == (3, True), ended.out


MISTAKES = {
    "the same model twice": (("base.onnx", "base.onnx", *GIVEN), "OL115", "name the quantized model second"),
    "a missing model": (("bsae.onnx", "bad.onnx", *GIVEN), "OL201", "bsae.onnx"),
    "an input that is no pair": (("base.onnx", "bad.onnx", "--data", "data.npz", "--input", "x"), "OL115", "NAME=COLUMN"),
    "an input that there is not": (("base.onnx", "bad.onnx", "--data", "data.npz", "--input", "y=features"), "OL206", "y"),
    "a written file that is a model of the two": (("base.onnx", "bad.onnx", *GIVEN, "-o", "bad.onnx"), "OL115", "new file"),
    "a written file that is no model": (("base.onnx", "bad.onnx", *GIVEN, "-o", "out"), "OL115", ".onnx"),
    "no data": (("base.onnx", "bad.onnx"), "OL115", "--data"),
    "a limit out of range": (("base.onnx", "bad.onnx", *GIVEN, "--max-drop", "2"), "OL115", "--max-drop"),
    "a metric that there is not": (("base.onnx", "bad.onnx", *GIVEN, "--metric", "f1"), "OL115", "accuracy"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_exit_2_and_named(
    command: Command, pair_of_models: Path, arguments: tuple[str, ...], code: str, words: str
) -> None:
    ended = command("blame", *arguments)
    assert (ended.code, ended.out) == (2, ""), ended.err
    assert code in ended.err and words in ended.err
    assert "Traceback" not in ended.err
