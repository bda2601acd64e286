"""Quiet: one timed measurement at a time on a machine, among all processes of olivelike."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOG = logging.getLogger("olivelike.machine")
LOCK_NAME = "olivelike-timing.lock"


@contextmanager
def quiet_machine(folder: Path | None = None) -> Iterator[None]:
    """Holds the machine's timing lock; waits while another process of olivelike times something.

    The lock goes with the process that holds it. Where the file cannot be opened (it belongs to another user who keeps it
    to himself), nothing is locked and a line in the log says so.

    Args:
        folder: where the lock file lies; the system's folder for temporary files by default.
    """
    from filelock import FileLock, Timeout

    path = (folder or Path(tempfile.gettempdir())) / LOCK_NAME
    lock = FileLock(path, mode=0o666)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            LOG.info("waiting for another process of olivelike that is timing (%s)", path)
            lock.acquire()
    except OSError as error:
        LOG.warning("timing without the machine's lock: %s", error)
    try:
        yield
    finally:
        lock.release()
