"""One worker process as the engine sees it: a task is sent, watched while it runs, and answered."""

from __future__ import annotations

import json
import math
import queue
import subprocess
import sys
import threading
import time
from contextlib import suppress
from io import BufferedReader
from typing import cast

from olivelike.contracts.outcome import Failed
from olivelike.contracts.ports import Answer, Reply
from olivelike.contracts.space import Limits
from olivelike.digest import JsonObject
from olivelike.executors.death import cause_of_death, kill_tree
from olivelike.executors.log import LogTail

MEMORY_POLL = 0.05
TIME_POLL = 0.5
DEATH_SECONDS = 2.0
MIB = 1 << 20


class Worker:
    """A warm process that does one task at a time. Its streams are binary pipes; standard error is its log."""

    def __init__(self, entry: str) -> None:
        # -P: a file in the current folder must not take the place of a module. A group of its own: Ctrl-C at the
        # terminal reaches the engine alone, and everything the worker starts can be ended with it.
        command = [sys.executable, "-P", "-m", "olivelike.executors.worker_main", entry]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        self._log = LogTail(cast("BufferedReader", self._process.stderr))
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._burying = threading.Lock()
        self._buried = False
        threading.Thread(target=self._receive, name="worker answers", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether it can take another task."""
        return self._process.poll() is None

    def fits(self, limits: Limits) -> bool:
        """Whether earlier tasks left it small enough: at most half of a task's memory limit is in use already."""
        return math.isinf(limits.bytes) or _resident(self._process.pid) <= limits.bytes / 2

    def run(self, task: JsonObject, limits: Limits) -> Reply:
        """Runs one task; after a `Failed` with OL501 to OL503 the worker is dead."""
        deadline = time.monotonic() + limits.seconds
        line = json.dumps(task).encode() + b"\n"
        self._log.clear()
        try:
            self._send(line)
            while True:
                try:
                    return self._read(self._answers.get(timeout=_patience(deadline, limits)))
                except queue.Empty:
                    if reason := self._broken_limit(deadline, limits):
                        self.kill()
                        return Failed(reason, log=self._log.text(DEATH_SECONDS))
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """Kills it and everything it started; calling it twice is harmless."""
        with self._burying:
            if not self._buried:
                kill_tree(self._process)
                self._hang_up()
            self._buried = True

    def end(self) -> None:
        """Asks it to leave, waits shortly, then kills what is left."""
        self._hang_up()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(DEATH_SECONDS)
        self.kill()

    def _send(self, line: bytes) -> None:
        stream = self._process.stdin
        # ValueError: closed meanwhile. A dead worker is noticed where its answers come from.
        with suppress(OSError, ValueError):
            if stream is not None:
                stream.write(line)
                stream.flush()

    def _hang_up(self) -> None:
        with suppress(OSError):  # what is left in the buffer cannot be sent any more
            if self._process.stdin is not None:
                self._process.stdin.close()

    def _receive(self) -> None:
        with cast("BufferedReader", self._process.stdout) as stream:
            for line in stream:
                self._answers.put(line)
        self._answers.put(b"")

    def _read(self, line: bytes) -> Reply:
        if not line.endswith(b"\n"):
            return self._died()
        reply = json.loads(line)
        if "answer" in reply:
            return Answer(reply["answer"])
        return Failed(reply["failed"]["reason"], log=reply["failed"]["log"])

    def _died(self) -> Failed:
        try:
            self._process.wait(DEATH_SECONDS)
            cause = cause_of_death(self._process.returncode)
        except subprocess.TimeoutExpired:
            cause = "it closed its channel"
        self.kill()
        return Failed(f"OL501: the worker died: {cause}", log=self._log.text(DEATH_SECONDS))

    def _broken_limit(self, deadline: float, limits: Limits) -> str:
        if time.monotonic() >= deadline:
            return f"OL502: the task took longer than its time limit of {limits.seconds:g} s"
        if math.isfinite(limits.bytes) and (used := _resident(self._process.pid)) > limits.bytes:
            return f"OL503: the task used {used / MIB:.0f} MiB of memory, more than its limit of {limits.bytes / MIB:.0f} MiB"
        return ""


def _patience(deadline: float, limits: Limits) -> float:
    poll = MEMORY_POLL if math.isfinite(limits.bytes) else TIME_POLL
    return max(0.0, min(poll, deadline - time.monotonic()))


def _resident(pid: int) -> int:
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
