"""Who made a temporary file, a lease or a half-written bundle, and whether that process still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

from olivelike.digest import digest_json

CLOCK_SLACK = 2.0
"""Seconds by which the start of a process and a file's time, read from two clocks, may disagree."""


class Life(Enum):
    """What is known about an owner."""

    ALIVE = "alive"
    DEAD = "dead"
    ELSEWHERE = "elsewhere"
    """It runs, or ran, on another machine or in another container: nothing can be said."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process on a machine; a restart of the machine or another container counts as another machine."""

    machine: str
    pid: int

    @classmethod
    def current(cls) -> Owner:
        """Returns this process."""
        return cls(_machine(), os.getpid())

    def life(self, since: float) -> Life:
        """Says whether the process that existed at the time `since` still lives; a reused number counts as dead."""
        if self.machine != _machine():
            return Life.ELSEWHERE
        if self.pid == os.getpid():
            return Life.ALIVE
        import psutil

        try:
            process = psutil.Process(self.pid)
            lives = process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= since + CLOCK_SLACK
        except psutil.NoSuchProcess:
            lives = False
        except psutil.AccessDenied:
            lives = True
        return Life.ALIVE if lives else Life.DEAD


@cache
def _machine() -> str:
    return digest_json(
        [socket.gethostname(), *map(_identity, ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"))]
    )


def _identity(name: str) -> str:
    path = Path(name)
    try:
        return str(path.readlink()) if path.is_symlink() else path.read_text()
    except OSError:
        return ""
