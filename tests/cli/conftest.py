"""The command line in this process: arguments in, exit code and both streams out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from olivelike.cli.app import main
from olivelike.testing import models


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Runs `olivelike ARGS` with a store of the test's own."""
    monkeypatch.setenv("OLIVELIKE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr("sys.argv", ["olivelike", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return Ended(int(stop.value.code or 0), captured.out, captured.err)

    return run


WORKFLOW = """\
name: small
model: {path: model.onnx}
target: {providers: [cpu], threads: 1}
data:
  test: {npz: test.npz, labels: labels, use: [selection]}
metrics:
  accuracy: {type: accuracy, data: test}
  size: {type: size}
constraints:
  - {metric: accuracy, max_drop: 0.2}
objectives: [{minimize: size}]
passes:
  - name: quantize
    one_of:
      - dynamic_quant: {per_channel: [true, false]}
      - none
output: {path: out}
run: {executor: inline}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small workflow, its model and its data."""
    models.save(models.mlp(hidden=256), tmp_path)
    features = np.random.default_rng(0).standard_normal((64, 16)).astype("float32")
    np.savez(tmp_path / "test.npz", x=features, labels=np.arange(64) % 4)
    (tmp_path / "workflow.yaml").write_text(WORKFLOW)
    return tmp_path
