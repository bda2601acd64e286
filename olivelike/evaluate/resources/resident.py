"""How much memory a process holds, as the operating system tells it: resident, its peak, and what no file backs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
LINES = {"VmRSS": "resident", "VmHWM": "peak", "RssAnon": "anonymous"}
"""The lines of `/proc/PID/status` that matter (proc(5)), in kilobytes of 1024 bytes."""


def memory_of(pid: int, proc: Path = PROC) -> Mapping[str, int]:
    """Returns what is known of a process's memory, in bytes; what the system does not tell is left out.

    `resident` is what lies in memory now, `peak` the most that it ever was, `anonymous` the resident part that no file
    backs: pages of a mapped file can be dropped and read again, anonymous ones cannot. Only Linux tells the last.

    Args:
        pid: the process.
        proc: the folder where Linux shows processes.

    Raises:
        ProcessLookupError: there is no such process any more.
    """
    status = proc / str(pid) / "status"
    if proc.is_dir():
        return _from_status(status)
    return _from_psutil(pid)


def _from_status(status: Path) -> Mapping[str, int]:
    try:
        lines = status.read_text("ascii", "replace").splitlines()
    except OSError as error:
        raise ProcessLookupError(str(status)) from error
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return {ours: int(fields[theirs].split()[0]) * 1024 for theirs, ours in LINES.items() if theirs in fields}


def _from_psutil(pid: int) -> Mapping[str, int]:
    import psutil

    try:
        found = psutil.Process(pid).memory_info()
    except psutil.NoSuchProcess as error:
        raise ProcessLookupError(str(error)) from error
    told = {"resident": int(found.rss)}
    if hasattr(found, "peak_wset"):  # Windows
        told["peak"] = int(found.peak_wset)
    elif pid == os.getpid():
        told["peak"] = _own_peak()
    return told


def _own_peak() -> int:
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # bytes on macOS, kilobytes elsewhere (getrusage(2))


def forget_own_peak(proc: Path = PROC) -> None:
    """Sets this process's peak to what it holds now, where the system can (Linux, proc(5), `clear_refs`)."""
    with suppress(OSError):
        (proc / "self" / "clear_refs").write_text("5", encoding="ascii")
