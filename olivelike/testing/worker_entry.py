"""A worker's entry that does what a test asks of it: echo, raise, print, crash, hang, or take too much memory."""

# ruff: noqa: T201 - printing is one of the things that must do no harm

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from olivelike.digest import JsonObject
from olivelike.errors import StepError, fail

MIB = 1 << 20
KEPT: list[bytes] = []


def answer(task: JsonObject) -> JsonObject:
    """Does what `task["do"]` names, one of `DEEDS`; `task["with"]` is its argument."""
    return DEEDS[str(task["do"])](task.get("with"))


def _echo(value: object) -> JsonObject:
    return {"echo": value, "pid": os.getpid()}  # type: ignore[dict-item]


def _raise(value: object) -> JsonObject:
    raise ValueError(value)


def _refuse(value: object) -> JsonObject:
    raise fail(StepError, "OL303", f"nothing came of {value}")


def _not_json(value: object) -> JsonObject:
    return {"not json": object()}  # type: ignore[dict-item]


def _exit(value: object) -> JsonObject:
    sys.exit(f"enough of {value}")


def _print(value: object) -> JsonObject:
    print(value)
    os.write(1, f"{value} from below Python\n".encode())
    print(value, file=sys.stderr)
    return {"read": sys.stdin.read()}


def _print_and_die(value: object) -> JsonObject:
    for number in range(100):
        print(f"{value} {number}")
    os._exit(3)


def _segfault(value: object) -> JsonObject:
    ctypes.string_at(0)
    return {}


def _kill_itself(value: object) -> JsonObject:
    os.kill(os.getpid(), signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    return {}


def _hang(value: object) -> JsonObject:
    threading.Event().wait(600)
    return {}


def _hang_with_child(value: object) -> JsonObject:
    _start_child(Path(str(value)))
    return _hang(value)


def _crash_with_child(value: object) -> JsonObject:
    _start_child(Path(str(value)))
    os._exit(3)


def _start_child(note: Path) -> None:
    """Starts a process that would outlive this one and writes both their numbers into a file."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    part = note.with_suffix(".part")
    part.write_text(f"{os.getpid()} {child.pid}", encoding="utf-8")
    part.replace(note)


def _hog(value: object) -> JsonObject:
    """Takes 400 MiB, 8 at a time, and hangs."""
    for _ in range(50):
        _keep(8)
        threading.Event().wait(0.01)
    return _hang(value)


def _keep(value: object) -> JsonObject:
    """Takes so many MiB and never gives them back."""
    KEPT.append(b"x" * (int(str(value)) * MIB))
    return {}


def _huge(value: object) -> JsonObject:
    return {"huge": "x" * (5 * MIB)}


DEEDS: dict[str, Callable[[object], JsonObject]] = {
    "echo": _echo,
    "raise": _raise,
    "refuse": _refuse,
    "not json": _not_json,
    "exit": _exit,
    "print": _print,
    "print and die": _print_and_die,
    "segfault": _segfault,
    "kill itself": _kill_itself,
    "hang": _hang,
    "hang with child": _hang_with_child,
    "crash with child": _crash_with_child,
    "keep": _keep,
    "hog": _hog,
    "huge": _huge,
}
