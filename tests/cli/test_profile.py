"""The command `profile`, and the option `run.profile` of a workflow."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from olivelike.testing import models
from tests.cli.conftest import WORKFLOW, Command


def test_two_models_stand_side_by_side_by_operator(command: Command, tmp_path: Path) -> None:
    models.save(models.mlp(), tmp_path / "plain")
    models.save(models.conv_net(), tmp_path / "conv")
    ended = command("profile", "plain/model.onnx", "conv", "--runs", "10", "--threads", "1")
    assert ended.code == 0, ended.err
    head, *rows = ended.out.splitlines()
    assert head.split() == [
        "operator",
        "plain/model.onnx,",
        "ms",
        "(share,",
        "nodes)",
        "conv,",
        "ms",
        "(share,",
        "nodes)",
    ]
    first = {row.split()[0]: row.split() for row in rows if row}
    assert first["Conv"][1] == "-"
    assert "all" in first
    assert "slowest nodes of conv:" in rows


def test_profiles_are_cached_like_any_measurement_and_come_as_json(command: Command, tmp_path: Path) -> None:
    models.save(models.mlp(), tmp_path / "plain")
    np.savez(tmp_path / "data.npz", x=np.zeros((4, 16), "float32"))
    asked = ("profile", "plain", "--runs", "10", "--batch", "4", "--data", "data.npz", "--json")
    first, second = (json.loads(command(*asked).out) for _ in range(2))
    assert first == second
    found = first["models"]["plain"]
    assert found["details"]["shapes"] == {"x": [4, 16]}
    assert sum(row["nodes"] for row in found["details"]["operators"]) == len(found["details"]["nodes"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.onnx"], "OL201"),
        (["plain", "--dim", "length"], "OL115: Invalid value: --dim length: expected NAME=SIZE"),
        (["plain", "--dim", "length=0"], "OL115: Invalid value: --dim length=0"),
        (["plain", "--dim", "length=3"], "OL206 dims.length"),
        (["plain", "--provider", "qnn"], "OL210 target.providers"),
        (["plain", "--data", "data.tsv"], "OL115: --data data.tsv"),
        (["broken"], "OL202"),
    ],
)
def test_wrong_input_is_refused_with_exit_code_2(
    command: Command, tmp_path: Path, arguments: list[str], said: str
) -> None:
    models.save(models.mlp(), tmp_path / "plain")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.onnx").write_bytes(b"no model")
    ended = command("profile", *arguments)
    assert ended.code == 2, ended.err
    assert ended.err.startswith(said)
    assert ended.out == ""


def test_a_run_can_be_asked_where_the_time_goes_and_answers_the_same(command: Command, folder: Path) -> None:
    plain = json.loads(command("run", "workflow.yaml", "--json").out)
    ended = command("run", "workflow.yaml", "run.profile=true", "--json")
    answer = json.loads(ended.out)
    assert set(answer["profile"]) == {"baseline", "chosen"}
    operators = {name: {row["op_type"] for row in m["details"]["operators"]} for name, m in answer["profile"].items()}
    assert operators["baseline"] != operators["chosen"]
    assert answer["chosen"] == plain["chosen"]
    assert "profile" not in plain
    text = command("run", "workflow.yaml", "run.profile=true").out
    assert "baseline, ms (share, nodes)" in text
    assert "slowest nodes of chosen:" in text


def test_a_silent_fallback_to_the_cpu_can_be_forbidden(command: Command, folder: Path) -> None:
    """AzureExecutionProvider is offered by every build and takes no ordinary node: the session falls to the CPU, unsaid."""
    text = WORKFLOW.replace("providers: [cpu]", "providers: [azure, cpu]")
    text = text.replace("  size: {type: size}", "  size: {type: size}\n  placement: {type: placement}")
    text = text.replace("constraints:", "constraints:\n  - {metric: placement.nodes_off_target, at_most: 0}")
    (folder / "workflow.yaml").write_text(text)
    ended = command("run", "workflow.yaml", "--json")
    assert ended.code == 3, ended.err
    answer = json.loads(ended.out)
    assert "nodes run on CPUExecutionProvider: " in answer["why"]
    assert all("run on CPUExecutionProvider: " in trial["verdict"] for trial in answer["trials"])
