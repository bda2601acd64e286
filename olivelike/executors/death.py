"""How a worker ended, in words; and ending one together with every process it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress


def cause_of_death(code: int) -> str:
    """Returns what an exit code says: the signal's name on POSIX, the code elsewhere.

    >>> cause_of_death(3)
    'it ended with exit code 3'
    """
    if code < 0:
        return _killed_by(-code)
    return f"it ended with exit code {code:#x}" if code > 255 else f"it ended with exit code {code}"


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Kills a worker and the processes it started, and waits until the worker is gone.

    To be called once for each worker, at the latest right after its end was noticed: later its number may be another's.
    """
    import psutil

    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    _kill_group(process.pid)
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    process.kill()
    process.wait()


def _killed_by(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"it was killed by signal {number}"
    told = f"it was killed by {name}"
    return f"{told}, perhaps because the machine was out of memory" if name == "SIGKILL" else told


def _kill_group(number: int) -> None:
    # A group outlives its leader: this finds the children of a crashed worker, whose parent is gone.
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):  # nobody is left; macOS says so with the second
            os.killpg(number, signal.SIGKILL)
