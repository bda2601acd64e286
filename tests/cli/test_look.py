"""The commands that look into models, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

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
