"""The store's lock: many processes publish and open at once; what deletes has the store to itself."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

logger = logging.getLogger(__name__)


class StoreLock:
    """A lock on one existing file, held by an open file each: safe for threads, and gone when its process dies.

    Where the file system knows no locks, nothing is locked; then the collector's `min_age` alone keeps runs safe.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Holds the lock beside others that share it."""
        with self._path.open("rb") as file:
            _lock(file, exclusive=False)
            yield

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Holds the lock alone; waits for all others."""
        with self._path.open("r+b") as file:
            _lock(file, exclusive=True)
            yield


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes], exclusive: bool) -> None:
        del exclusive  # Windows has no shared range lock in the standard library: publishers take turns
        file.seek(1 << 30)
        while True:
            try:
                return msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            except OSError as error:  # LK_LOCK gives up after ten tries, one a second
                logger.debug("still waiting for the store's lock: %s", error)

else:
    import fcntl

    def _lock(file: IO[bytes], exclusive: bool) -> None:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        except OSError as error:
            logger.debug("the file system of %s has no locks: %s", file.name, error)
