"""The commands `bench`, `certify` and `selftest`: exit codes, both forms of the answer, bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Command


def test_bench_says_how_two_models_compare(command: Command, folder: Path) -> None:
    ended = command("bench", "model.onnx", "model.onnx", "--seconds", "0", "--threads", "1")
    assert ended.code == 0, ended.err
    assert "beside its own copy" in ended.out
    ended = command("bench", "model.onnx", "model.onnx", "--seconds", "0", "--value", "p50", "--json")
    assert json.loads(ended.out)["verdict"] in {"no difference shown", "too noisy", "faster", "slower"}
    del folder


def test_bench_feeds_data_by_column(command: Command, folder: Path) -> None:
    np.savez(folder / "other.npz", features=np.zeros((8, 16), "float32"))
    ended = command(
        "bench", "model.onnx", "--data", "other.npz", "--input", "x=features", "--seconds", "0", "--batch", "8"
    )
    assert ended.code == 0, ended.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("bench", "missing.onnx"), "OL201"),
        (("bench", "model.onnx", "--value", "p100"), "OL105"),
        (("bench", "model.onnx", "--dim", "n"), "OL115"),
        (("bench", "model.onnx", "--dim", "batch=-1"), "OL115"),
        (("bench", "model.onnx", "--provider", "cuda"), "OL210"),
        (("bench", "model.onnx", "--data", "x.parquets"), "OL115"),
        (("bench", "model.onnx", "--pin", "4095"), "OL105"),
        (("certify", ".", "--data", "test.npz"), "OL118"),
        (("selftest", "evidence", "--part", "luck"), "OL115"),
    ],
)
def test_bad_input_is_exit_2_with_its_code(
    command: Command, folder: Path, arguments: tuple[str, ...], code: str
) -> None:
    ended = command(*arguments)
    assert (ended.code, code in ended.err) == (2, True), ended.err
    assert "Traceback" not in ended.err
    del folder


def test_certify_answers_by_exit_code(command: Command, folder: Path) -> None:
    assert command("run", "workflow.yaml").code == 0
    draw = np.random.default_rng(4)
    for count, code, verdict in ((600, 0, "accept"), (6, 4, "undecided")):
        features = draw.standard_normal((count, 16)).astype("float32")
        np.savez(folder / "fresh.npz", x=features, labels=np.arange(count) % 4)
        ended = command("certify", "out", "--data", "fresh.npz", "--json")
        assert (ended.code, json.loads(ended.out)["verdict"]) == (code, verdict), ended.err
    assert "max_drop 0.2: undecided" in command("certify", "out", "--data", "fresh.npz").out


def test_selftest_prints_each_rate_with_its_count(command: Command) -> None:
    ended = command("selftest", "evidence", "--quick", "--part", "quality")
    assert ended.code == 0, ended.out
    lines = ended.out.splitlines()
    assert len(lines) == 5
    assert all(" of 60 " in line for line in lines)
