"""Manifests: one file for each artifact. Its content, the inventory, is checked against its name; its time is the last use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from olivelike.store.inventory import Inventory, is_digest
from olivelike.store.place import publish_file, remove_file
from olivelike.store.port import Absent, Clock
from olivelike.store.staging import Staging

TOUCH_EVERY = 60.0
"""Seconds to which the last use is kept: a search that opens an artifact a thousand times notes it once."""
SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Damaged:
    """A manifest that is not what its name says."""

    reason: str


class Manifests:
    """The manifests of all artifacts. That an artifact has one says that it was published whole."""

    def __init__(self, folder: Path, staging: Staging, now: Clock) -> None:
        self._folder = folder
        self._staging = staging
        self._now = now

    def path(self, digest: str) -> Path:
        """Returns where an artifact's manifest lies, or would lie."""
        return self._folder / digest[:2] / f"{digest}{SUFFIX}"

    def all(self) -> Iterator[str]:
        """Yields the digest of every artifact that has a manifest."""
        for path in sorted(self._folder.glob(f"*/*{SUFFIX}")):
            if is_digest(path.stem):
                yield path.stem

    def holds(self, digest: str) -> bool:
        """Whether an artifact has a manifest, be it damaged."""
        return is_digest(digest) and self.path(digest).exists()

    def read(self, digest: str) -> Inventory | Absent | Damaged:
        """Returns an artifact's inventory."""
        if not is_digest(digest):
            return Absent()
        try:
            inventory = Inventory.from_bytes(self.path(digest).read_bytes())
        except FileNotFoundError:
            return Absent()
        except ValueError as error:
            return Damaged(str(error))
        return inventory if inventory.digest == digest else Damaged(f"it is the manifest of {inventory.digest}")

    def write(self, inventory: Inventory) -> None:
        """Writes an artifact's manifest, after everything it names; one that is there already is used once more."""
        digest = inventory.digest
        if self.read(digest) == inventory:
            self.touch(digest)
            return
        with self._staging.file() as staged:
            staged.write_bytes(inventory.to_bytes())
            os.utime(staged, (self._now(), self._now()))
            publish_file(staged, self.path(digest), 0o600)

    def used(self, digest: str) -> float:
        """Returns when an artifact was last used, in seconds since the epoch."""
        return self.path(digest).stat().st_mtime

    def touch(self, digest: str) -> None:
        """Notes that an artifact is used now; one that is not there is no error."""
        now = self._now()
        with contextlib.suppress(FileNotFoundError):
            if is_digest(digest) and abs(now - self.used(digest)) >= TOUCH_EVERY:
                os.utime(self.path(digest), (now, now))

    def remove(self, digest: str) -> None:
        """Removes an artifact's manifest: from now on the artifact is not there."""
        remove_file(self.path(digest))
