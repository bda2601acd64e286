"""The last of what a worker wrote to its standard output and error, kept in memory that does not grow."""

from __future__ import annotations

import threading
from io import BufferedReader

from olivelike.executors.failure import last_lines

KEPT = 1 << 16


class LogTail:
    """Drains a stream in a thread of its own and keeps its last 64 KiB."""

    def __init__(self, stream: BufferedReader) -> None:
        self._tail = b""
        self._thread = threading.Thread(target=self._drain, args=(stream,), name="worker log", daemon=True)
        self._thread.start()

    def clear(self) -> None:
        """Forgets what was written so far: a task's log is its own."""
        self._tail = b""

    def text(self, patience: float = 0.0) -> str:
        """Returns the last 40 lines; waits at most so many seconds for the end that a dead worker's stream comes to."""
        self._thread.join(patience)
        return last_lines(self._tail.decode(errors="replace"))

    def _drain(self, stream: BufferedReader) -> None:
        with stream:
            while piece := stream.read1(KEPT):
                self._tail = (self._tail + piece)[-KEPT:]
