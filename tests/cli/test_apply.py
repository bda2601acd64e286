"""What `olivelike apply` says: what changed in short, or why there is no model, once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from olivelike.cli.apply_text import note_lines
from olivelike.testing import models
from tests.cli.conftest import Command


@pytest.mark.parametrize("output", ["out.onnx", "out"])
def test_a_refusal_is_said_once_with_a_hint(command: Command, output: str, tmp_path: Path) -> None:
    models.save(models.quantized(), tmp_path)
    ended = command("apply", "fuse", "model.onnx", "-o", output)
    assert (ended.code, ended.out) == (5, "")
    assert ended.err == (
        "OL301 fuse: the model is quantized already (DequantizeLinear, QuantizeLinear): fuse before quantization. "
        "hint: olivelike inspect model.onnx lists the passes that take this model\n"
    )


def test_each_reason_of_a_refusal_has_a_line(command: Command, tmp_path: Path) -> None:
    models.save(models.mlp(), tmp_path)
    ended = command("apply", "rename_io", "model.onnx", "-o", "out.onnx", "names={a: b, c: d}")
    lines = ended.err.splitlines()
    assert [line.split(";")[0] for line in lines] == [
        "OL301 rename_io: the model has no input or output 'a'",
        "OL301 rename_io: the model has no input or output 'c'",
    ]
    assert lines[1].endswith("lists the passes that take this model")


def test_a_refusal_is_an_answer_document_and_an_event_too(command: Command, tmp_path: Path) -> None:
    models.save(models.quantized(), tmp_path)
    ended = command("apply", "fuse", "model.onnx", "-o", "out.onnx", "--json", "--log-format", "json")
    answer = json.loads(ended.out)
    assert (answer["status"], answer["change"], answer["trials"][0]["outcome"]) == ("failed", None, "refused")
    events = [json.loads(line) for line in ended.err.splitlines()]
    assert [event["code"] for event in events if event["event"] == "error"] == ["OL301"]


def test_what_a_pass_changed_is_said_in_a_few_lines(command: Command, tmp_path: Path) -> None:
    file = models.save(models.bert_layer(), tmp_path)
    ended = command("apply", "fuse", "model.onnx", "-o", "out.onnx")
    before, after = file.stat().st_size, (tmp_path / "out.onnx").stat().st_size
    assert ended.err == ""
    assert ended.out.splitlines()[:2] == [
        f"fuse: nodes 31 -> 10; bytes {before:,} -> {after:,}; opset com.microsoft none -> 1",
        "  fused: BiasGelu 1, LayerNormalization 2",
    ]
    assert ended.out.splitlines()[2].startswith(f"written to {tmp_path / 'out.onnx'} (")
    again = command("apply", "fuse", "model.onnx", "-o", "again.onnx")
    assert "(from the cache, " in again.out


def test_versions_are_told_where_they_change(command: Command, tmp_path: Path) -> None:
    models.save(models.mlp(), tmp_path)
    ended = command("apply", "convert_opset", "model.onnx", "-o", "out.onnx", "target=19")
    assert "; opset ai.onnx 17 -> 19; IR version 8 -> 9\n" in ended.out


def test_the_answer_document_says_what_changed(command: Command, tmp_path: Path) -> None:
    models.save(models.mlp(), tmp_path)
    change = json.loads(command("apply", "split", "model.onnx", "-o", "parts", "--json").out)["change"]
    assert (change["before"]["kind"], change["after"]["kind"]) == ("onnx", "onnx-parts")
    assert change["before"]["nodes"] == change["after"]["nodes"] == 3
    assert change["before"]["opsets"] == {"ai.onnx": 17}
    assert change["notes"]["split"]["by"] == "layer"


def test_notes_are_told_in_short() -> None:
    assert list(note_lines({"names": {f"a{n}": n for n in range(10)}, "made_way": {}, "whole": True})) == [
        "names: a0 0, a1 1, a2 2, a3 3, a4 4, a5 5, a6 6, a7 7 and 2 more",
        "whole: yes",
    ]
    assert list(note_lines({"parts": {"part0": {"inputs": ["x"], "bytes": 3}}})) == [
        "parts: part0 (inputs (x), bytes 3)"
    ]
    assert [len(line) for line in note_lines(["x" * 300])] == [200]


def test_an_output_that_exists_hides_nothing_else_that_is_wrong(command: Command, tmp_path: Path) -> None:
    models.save(models.mlp(), tmp_path)
    (tmp_path / "out.onnx").write_text("mine")
    ended = command(
        "apply", "convert_opset", "model.onnx", "-o", "out.onnx", "traget=18", "--custom-operators", "none.so"
    )
    codes = [line.split()[0].rstrip(":") for line in ended.err.splitlines()]
    assert (ended.code, codes[0], set(codes) >= {"OL116", "OL104"}) == (2, "OL116", True), ended.err
