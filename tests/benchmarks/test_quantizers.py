"""The benchmark of quantizers: each in a process of its own, what it takes is watched, and why it gave nothing is told."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from own_process import in_own_process, middle
from quantizers import BATCH, TOOLS, batches

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "quantizers.py"
FASHION = ROOT / "workflows" / "quickstart" / "fashion.onnx"
MEGABYTES_HELD = 64
WATCHED = f"""
import sys
sys.path.insert(0, {str(SCRIPT.parent)!r})
from own_process import watched
from pathlib import Path
def work():
    held = bytearray({MEGABYTES_HELD} << 20)
    held[::4096] = b"x" * len(held[::4096])
    Path(sys.argv[1]).write_bytes(b"made")
watched(work)
"""


def test_memory_that_work_holds_is_seen(tmp_path: Path) -> None:
    found = in_own_process([sys.executable, "-c", WATCHED, str(tmp_path / "made")], tmp_path / "made", limit=60)
    assert isinstance(found, dict)
    # what the interpreter itself takes or gives back meanwhile is a few megabytes
    assert found["memory"] == pytest.approx(MEGABYTES_HELD << 20, rel=0.2)
    assert found["seconds"] > 0


def test_a_failure_is_told_by_its_last_line(tmp_path: Path) -> None:
    found = in_own_process([sys.executable, "-c", "raise ValueError('too large')"], tmp_path / "made", limit=60)
    assert found == "failed: ValueError: too large"


def test_work_that_wrote_nothing_gave_nothing(tmp_path: Path) -> None:
    assert isinstance(in_own_process([sys.executable, "-c", "pass"], tmp_path / "made", limit=60), str)


def test_what_tools_print_around_it_does_not_hide_what_was_taken(tmp_path: Path) -> None:
    chatty = f"print('begins', end='')\n{WATCHED}\nprint('the end')"
    assert isinstance(
        in_own_process([sys.executable, "-c", chatty, str(tmp_path / "made")], tmp_path / "made", limit=60), dict
    )


def test_the_middle_leaves_out_what_gave_nothing() -> None:
    assert middle([{"seconds": 3.0}, "failed", {"seconds": 1.0}, {"seconds": 2.0}], "seconds") == 2.0
    assert middle(["failed"], "seconds") == 0.0


def test_calibration_comes_in_batches_with_a_rest(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.arange(BATCH + 3), y=np.arange(BATCH + 3) + 1)
    found = list(batches(tmp_path / "data.npz"))
    assert [len(batch["x"]) for batch in found] == [BATCH, 3]
    np.testing.assert_array_equal(found[1]["y"], found[1]["x"] + 1)


@pytest.mark.parametrize("tool", ["olivelike", "runtime"])
@pytest.mark.parametrize("form", ["static", "dynamic", "float16"])
def test_what_is_installed_here_quantizes_a_small_model(tool: str, form: str, tmp_path: Path) -> None:
    assert form in TOOLS[tool]
    draw = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", image=draw.uniform(0, 255, (16, 1, 28, 28)).astype(np.float32))
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, str(SCRIPT), tool, form, str(FASHION), str(out), str(tmp_path / "data.npz"), "8"]
    found = in_own_process(command, out / "model.onnx", limit=120)
    assert isinstance(found, dict), found
    # one Gemm of 640 weights is all that `dynamic` finds here
    assert (out / "model.onnx").stat().st_size < FASHION.stat().st_size * (0.6 if form != "dynamic" else 1.01)
