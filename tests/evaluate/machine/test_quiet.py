"""The machine's timing lock, seen from a second process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from olivelike.evaluate.machine.pinning import pinned
from olivelike.evaluate.machine.quiet import LOCK_NAME, quiet_machine

TRIES = """
import sys
from filelock import FileLock, Timeout
try:
    FileLock(sys.argv[1]).acquire(timeout=0)
    print("free")
except Timeout:
    print("taken")
"""


def tried_from_outside(folder: Path) -> str:
    command = [sys.executable, "-c", TRIES, str(folder / LOCK_NAME)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_another_process_cannot_time_meanwhile_and_can_afterwards(tmp_path: Path) -> None:
    with quiet_machine(tmp_path):
        assert tried_from_outside(tmp_path) == "taken"
    assert tried_from_outside(tmp_path) == "free"


def test_the_lock_goes_with_a_killed_process(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from olivelike.evaluate.machine.quiet import quiet_machine\n"
        "with quiet_machine(Path(sys.argv[1])): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert tried_from_outside(tmp_path) == "free"


def test_a_lock_that_cannot_be_opened_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with quiet_machine(tmp_path / "missing" / "folder"):
        pass
    (tmp_path / LOCK_NAME).mkdir()
    with quiet_machine(tmp_path):
        pass
    assert "timing without the machine's lock" in caplog.text


@pytest.mark.skipif(sys.platform != "linux", reason="pinning is Linux's")
def test_pinning_binds_and_lets_go() -> None:
    import os

    before = os.sched_getaffinity(0)
    one = min(before)
    with pinned([one]):
        assert os.sched_getaffinity(0) == {one}
    assert os.sched_getaffinity(0) == before
