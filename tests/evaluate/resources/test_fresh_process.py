from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from olivelike.contracts.artifact import Manifest
from olivelike.contracts.target import Provider, Target
from olivelike.errors import InputError, MeasureError
from olivelike.evaluate.resources import fresh_process
from olivelike.evaluate.resources.fresh_process import FreshProcesses
from olivelike.testing.measure_context import artifact_at
from tests.evaluate.tiny_models import classifier

FEEDS = {"image": np.ones((2, 3), np.float32)}


def test_a_life_holds_as_many_runs_as_asked_for_and_memory_only_grows_to_its_peak(tmp_path: Path) -> None:
    life = FreshProcesses(Target(threads=1), tmp_path)(classifier(tmp_path / "model"), FEEDS, 4)
    assert len(life.run_seconds) == 4
    assert min(life.load_seconds, *life.run_seconds) > 0
    assert life.after_runs["peak"] >= life.after_load["resident"]


def test_what_the_process_finds_wrong_is_said_as_if_it_were_found_here(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    broken = artifact_at(tmp_path, Manifest("onnx", {"model": "model.onnx"}))
    with pytest.raises(MeasureError, match=r"OL504: model.onnx cannot be loaded"):
        FreshProcesses(Target(), tmp_path)(broken, {}, 0)
    with pytest.raises(InputError, match=r"OL210"):
        FreshProcesses(Target(providers=(Provider("CoreMLExecutionProvider"),)), tmp_path)(broken, {}, 0)


def test_feeds_that_the_model_does_not_take_are_an_error_of_the_run(tmp_path: Path) -> None:
    with pytest.raises(MeasureError, match=r"OL504: the model cannot be run"):
        FreshProcesses(Target(), tmp_path)(classifier(tmp_path / "model"), {"image": np.ones((2, 9), np.float32)}, 1)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", r"OL501: .*model.onnx died \(signal 9\)"),
        ("raise SystemExit('no room on this machine')", r"OL501: .*died \(exit code 1\): no room on this machine"),
        ("pass", r"OL501: .*died \(exit code 0\)"),
    ],
)
def test_a_process_that_dies_is_an_error_with_its_last_words(
    program: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dying.py").write_text(program)
    monkeypatch.setattr(fresh_process, "PROGRAM", "dying")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(MeasureError, match=said):
        FreshProcesses(Target(), tmp_path)(classifier(tmp_path / "model"), FEEDS, 1)
