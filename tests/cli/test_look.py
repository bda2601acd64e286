"""The commands that look into models, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from olivelike.testing import models
from tests.cli.conftest import Command


def test_inspect_says_what_is_in_a_model(command: Command, tmp_path: Path) -> None:
    models.save(models.mlp(), tmp_path / "plain")
    ended = command("inspect", "plain")
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[1] == "IR version 8; opsets ai.onnx 17, written by olivelike.testing"
    assert "input x: float32 [batch, 16]" in lines
    assert ["Gemm", "13", "2", "CPU"] in [line.split() for line in lines]
    assert "not quantized" in lines
    assert any(line.startswith("passes that take it: ") and "static_quant (with data)" in line for line in lines)
    assert "convert_opset needs parameters: target" in lines


def test_inspect_answers_in_json(command: Command, tmp_path: Path) -> None:
    models.save_external(models.if_model(), tmp_path / "inner")
    found = json.loads(command("inspect", "inner", "--target", "qnn", "--json").out)
    assert found["format"] == 1
    assert found["opsets"] == {"ai.onnx": 17}
    assert found["runtime"]["provider"] == "QNNExecutionProvider"
    assert found["runtime"]["offered"] is False
    assert {row["op_type"]: row["nodes"] for row in found["operators"]} == {
        "If": {"main": 1, "subgraph": 0, "function": 0},
        "MatMul": {"main": 0, "subgraph": 2, "function": 0},
    }
    assert [file["name"] for file in found["external_data"]] == ["model.onnx.data"]
    assert {row["answer"] for row in found["passes"]} <= {"takes it", "refuses", "needs parameters"}


def test_inspect_shouts_what_does_not_run(command: Command, tmp_path: Path) -> None:
    models.save(models.unknown_operator(), tmp_path)
    out = command("inspect", "model.onnx").out
    assert ["nowhere.Mystery", "?", "1", "NOT", "KNOWN"] in [line.split() for line in out.splitlines()]
    assert "DOES NOT RUN HERE: nowhere.Mystery (unknown)" in out
    assert "need a library of custom operators: nowhere.Mystery" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.onnx"], "OL201 missing.onnx: there is no such file or folder"),
        (["plain", "--target", "cuda2"], "OL107 --target: no execution provider is called 'cuda2'"),
        (["broken.onnx"], "OL202"),
        (["."], "OL201"),
    ],
)
def test_inspect_refuses_wrong_input(command: Command, tmp_path: Path, arguments: list[str], said: str) -> None:
    models.save(models.mlp(), tmp_path / "plain")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    ended = command("inspect", *arguments)
    assert ended.code == 2, ended.err
    assert ended.err.startswith(said)
    assert ended.out == ""


def _pair(folder: Path) -> None:
    models.save(models.mlp(), folder / "a")
    second = models.mlp()
    second.graph.node[1].op_type = "LeakyRelu"
    models.save(second, folder / "b")


def test_diff_says_what_differs(command: Command, tmp_path: Path) -> None:
    _pair(tmp_path)
    ended = command("diff", "a", "b")
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert "inputs and outputs: the same" in lines
    assert "nodes: 3 in A, 3 in B, 2 the same" in lines
    assert "  Relu: 1 -> 0" in lines
    assert any(line.startswith("weights: all 4 the same") for line in lines)
    assert any(line.startswith("output, 1 sample ") for line in lines)
    assert "(Relu in A, LeakyRelu in B)" in ended.out
    assert "the first that differs: " in ended.out


def test_diff_of_a_model_with_itself_says_that_all_is_the_same(command: Command, tmp_path: Path) -> None:
    _pair(tmp_path)
    out = command("diff", "a", "a/model.onnx").out
    assert "nodes: all 3 the same" in out
    assert ["logits", "equal"] in [line.split() for line in out.splitlines()]
    assert "furthest apart" not in out


def test_diff_answers_in_json(command: Command, tmp_path: Path) -> None:
    _pair(tmp_path)
    np.savez(tmp_path / "data.npz", pixels=np.zeros((5, 16), "float32"))
    found = json.loads(command("diff", "a", "b", "--data", "data.npz", "--input", "x=pixels", "--json").out)
    assert found["format"] == 1
    assert found["same_structure"] is False
    assert found["nodes"]["by_type"] == [{"op_type": "LeakyRelu", "a": 0, "b": 1}, {"op_type": "Relu", "a": 1, "b": 0}]
    assert found["values"]["samples"] == 5
    assert {row["name"] for row in found["values"]["outputs"]} == {"logits"}
    assert {"max_abs", "relative", "cosine", "sqnr", "made_by"} <= set(found["values"]["layers"][0])
    quick = json.loads(command("diff", "a", "b", "--structure-only", "--json").out)
    assert quick["values"] == {"samples": 0, "reason": "the models were not run", "outputs": [], "layers": []}
    outside = json.loads(command("diff", "a", "b", "--no-layers", "--json").out)
    assert outside["values"]["layers"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a", "missing"], "OL201 missing"),
        (["a", "b", "--dim", "n=3"], "OL206 --dim"),
        (["a", "b", "--data", "data.tsv"], "OL115: --data data.tsv"),
        (["a"], "OL115: Missing argument 'B'"),
    ],
)
def test_diff_refuses_wrong_input(command: Command, tmp_path: Path, arguments: list[str], said: str) -> None:
    _pair(tmp_path)
    ended = command("diff", *arguments)
    assert ended.code == 2, ended.err
    assert ended.err.startswith(said)


def test_view_shows_one_model_or_two(command: Command, tmp_path: Path) -> None:
    _pair(tmp_path)
    ended = command("view", "a", "b", "a", "--no-browser")
    assert ended.code == 2
    assert ended.err.startswith("OL115: view shows one model or two, got 3")
    assert command("view", "a", "--port", "70000").code == 2
