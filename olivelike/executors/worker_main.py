"""What a worker process runs: one JSON line per task comes in, one JSON line per answer goes out, until the engine is gone.

Started as `python -P -m olivelike.executors.worker_main ENTRY`. Nothing heavy is imported before the first task.
"""

from __future__ import annotations

import faulthandler
import io
import json
import os
import queue
import signal
import sys
import threading
from importlib import import_module
from typing import BinaryIO

from olivelike.contracts.outcome import Failed
from olivelike.executors.failure import failed_by

EXIT_SECONDS = 5.0


def main(entry: str) -> None:
    """Serves tasks with the entry's `answer` until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the engine decides.
    tasks, answers = _channels()
    faulthandler.enable()
    inbox = _Inbox(tasks)
    while task := inbox.next():
        answers.write(_reply(entry, task))
        answers.flush()
        inbox.done()
    # What a library registered for the exit may run, but a thread it left behind must not keep this process.
    last_resort = threading.Timer(EXIT_SECONDS, _die)
    last_resort.daemon = True
    last_resort.start()


class _Inbox:
    """The tasks that come in, read by a thread so that the end of the engine is noticed in the middle of a task, too."""

    def __init__(self, tasks: BinaryIO) -> None:
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._received = 0
        self._done = 0
        threading.Thread(target=self._read, args=(tasks,), name="inbox", daemon=True).start()

    def next(self) -> bytes:
        """Waits for the next task; empty when there will be none."""
        return self._lines.get()

    def done(self) -> None:
        """Notes that the task at hand was answered."""
        self._done += 1

    def _read(self, tasks: BinaryIO) -> None:
        for line in tasks:
            self._received += 1
            self._lines.put(line)
        if self._received > self._done:
            _die()
        self._lines.put(b"")


def _channels() -> tuple[BinaryIO, BinaryIO]:
    """Returns private copies of standard input and output; the originals become empty input and the log.

    So nothing that a library prints, native code included, gets between the answers, and nothing reads the tasks.
    """
    tasks, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    return tasks, answers


def _reply(entry: str, task: bytes) -> bytes:
    try:
        reply = {"answer": import_module(entry).answer(json.loads(task))}
        return json.dumps(reply).encode() + b"\n"
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the executor's boundary
        return json.dumps(_failure(failed_by(error))).encode() + b"\n"


def _failure(failed: Failed) -> dict[str, dict[str, str]]:
    return {"failed": {"reason": failed.reason, "log": failed.log}}


def _die() -> None:
    """Ends this process at once, and on POSIX the processes it started (the worker leads a group of its own)."""
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
