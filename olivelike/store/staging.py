"""The staging area: where files grow before they are published, each named after the process that owns it."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from olivelike.owner import Owner


class Staging:
    """Temporary files and folders on the store's own file system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def file(self) -> Iterator[Path]:
        """Gives the path of a file that does not exist yet; what is still there at the end is deleted."""
        path = self._new()
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def tree(self) -> Iterator[Path]:
        """Gives an empty folder; what is still there at the end is deleted."""
        path = self._new()
        path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def _new(self) -> Path:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        owner = Owner.current()
        return self.folder / f"{owner.machine}-{owner.pid}-{secrets.token_hex(8)}"


def owner_of(path: Path) -> Owner:
    """Returns the owner of a staged file or folder; an unknown name belongs to nobody on this machine."""
    machine, _, rest = path.name.partition("-")
    pid = rest.partition("-")[0]
    return Owner(machine, int(pid)) if pid.isdecimal() else Owner("", 0)
