"""Leases: a running process says that it is using the store, so that a collector beside it keeps what it may need."""

from __future__ import annotations

import json
import logging
import math
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from olivelike.digest import canonical_json
from olivelike.owner import Life, Owner
from olivelike.store.place import remove_file
from olivelike.store.port import Clock
from olivelike.store.staging import Staging

logger = logging.getLogger(__name__)

REFRESH_EVERY = 60.0
EXPIRES_AFTER = 600.0
"""Seconds after which a lease from another machine, where no process can be looked for, counts as dead."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A run that is, or was, under way.

    Attributes:
        path: the lease's file.
        owner: the process.
        started: when it began, in seconds since the epoch.
        refreshed: when it last said so.
    """

    path: Path
    owner: Owner
    started: float
    refreshed: float

    def is_live(self, now: float) -> bool:
        """Whether its process still lives, as far as can be said."""
        match self.owner.life(since=self.started):
            case Life.ALIVE:
                return True
            case Life.DEAD:
                return False
            case Life.ELSEWHERE:
                return now - self.refreshed < EXPIRES_AFTER


class Leases:
    """The leases on a store."""

    def __init__(self, folder: Path, staging: Staging, now: Clock) -> None:
        self._folder = folder
        self._staging = staging
        self._now = now

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Holds a lease, refreshed by a thread, until the end."""
        path = self._write()
        done = threading.Event()
        refresher = threading.Thread(target=self._refresh, args=(path, done), name="olivelike-lease", daemon=True)
        refresher.start()
        try:
            yield
        finally:
            done.set()
            refresher.join()
            remove_file(path)

    def all(self) -> tuple[Lease, ...]:
        """Returns every lease, live or not; an unreadable file is a lease of nobody's."""
        return tuple(_read(path) for path in sorted(self._folder.glob("*.json")))

    def _write(self) -> Path:
        owner, now = Owner.current(), self._now()
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f"{owner.pid}-{secrets.token_hex(8)}.json"
        with self._staging.file() as staged:
            staged.write_bytes(canonical_json({"machine": owner.machine, "pid": owner.pid, "started": now}))
            os.utime(staged, (now, now))
            staged.replace(path)
        return path

    def _refresh(self, path: Path, done: threading.Event) -> None:
        while not done.wait(REFRESH_EVERY):
            try:
                os.utime(path, (self._now(), self._now()))
            except OSError as error:
                logger.debug("the lease %s could not be refreshed: %s", path, error)


def _read(path: Path) -> Lease:
    try:
        value, refreshed = json.loads(path.read_bytes()), path.stat().st_mtime
        return Lease(path, Owner(str(value["machine"]), int(value["pid"])), float(value["started"]), refreshed)
    except (OSError, ValueError, KeyError, TypeError):
        return Lease(path, Owner("", 0), math.inf, -math.inf)
