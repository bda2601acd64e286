"""Stamps: what a file's metadata say about its content, so that a digest is computed once and remembered."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from olivelike.digest import JsonObject, digest_bytes, digest_file
from olivelike.errors import InputError, fail
from olivelike.store.index import Index
from olivelike.store.port import Absent, Clock

PREFIX = "file/"
SECOND = 1_000_000_000
TICK = SECOND // 50
"""Nanoseconds (20 ms) within which two writes may bear the same time: two ticks of a 100 Hz kernel."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file's inode, size, times in nanoseconds, and how many names it has."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    links: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Returns the stamp of the file that a path leads to."""
        return cls.from_stat(path.stat())

    @classmethod
    def from_stat(cls, stat: os.stat_result) -> Stamp:
        """Returns the stamp in a stat result."""
        return cls(stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_nlink)

    @classmethod
    def from_json(cls, value: JsonObject) -> Stamp:
        """Reads what `to_json` wrote."""
        return cls(**cast("dict[str, int]", value))

    def has_content_of(self, earlier: Stamp) -> bool:
        """Whether it is the same content as before, links made or removed since then aside.

        Making or removing a hard link changes the change time, as does setting the modification time back after a write:
        the number of names tells them apart.
        """
        same = (self.inode, self.size, self.mtime_ns) == (earlier.inode, earlier.size, earlier.mtime_ns)
        return same and (self.ctime_ns == earlier.ctime_ns or self.links != earlier.links)

    def is_settled(self, now: float) -> bool:
        """Whether a later write would surely change it: git calls a file that was just written "racily clean".

        Whole seconds mean a file system that keeps no finer time.
        """
        grain = TICK if self.mtime_ns % SECOND else 2 * SECOND
        return now * SECOND - self.mtime_ns > grain

    def to_json(self) -> JsonObject:
        """Returns the stamp as the index holds it."""
        return cast("JsonObject", asdict(self))


class Memo:
    """Digests of files anywhere on this machine, remembered by path and stamp."""

    def __init__(self, index: Index, now: Clock) -> None:
        self._index = index
        self._now = now

    def recall(self, path: Path, stamp: Stamp) -> str | Absent:
        """Returns the digest remembered for a file as it is."""
        row = self._index.lookup(_key(path))
        if isinstance(row, Absent) or row["stamp"] != stamp.to_json():
            return Absent()
        return str(row["digest"])

    def remember(self, path: Path, stamp: Stamp, digest: str) -> None:
        """Remembers a digest, unless the file is so young that a change could go unseen."""
        if stamp.is_settled(self._now()):
            self._index.record(_key(path), {"path": str(path), "stamp": stamp.to_json(), "digest": digest})

    def digest_of(self, path: Path) -> str:
        """Returns the digest of a file.

        Raises:
            InputError: OL201, the file is missing or changed while it was read.
        """
        stamp = stamp_of_input(path)
        known = self.recall(path, stamp)
        if not isinstance(known, Absent):
            return known
        digest = digest_file(path)
        refuse_changed(path, stamp)
        self.remember(path, stamp, digest)
        return digest

    def forget_lost(self) -> None:
        """Forgets the files that are no longer there."""
        rows = self._index.records(PREFIX)
        self._index.forget(*[key for key, value in rows if not Path(str(value["path"])).exists()])


def stamp_of_input(path: Path) -> Stamp:
    """Returns the stamp of a user's file.

    Raises:
        InputError: OL201, there is no such plain file, or it may not be read.
    """
    if not path.is_file():
        raise fail(InputError, "OL201", "there is no such file", place=str(path))
    try:
        with path.open("rb") as file:
            return Stamp.from_stat(os.fstat(file.fileno()))
    except OSError as error:
        raise fail(InputError, "OL201", f"the file cannot be read: {error.strerror}", place=str(path)) from error


def refuse_changed(path: Path, before: Stamp) -> None:
    """Raises InputError (OL201) when a user's file is no longer what it was before it was read."""
    if stamp_of_input(path) != before:
        claim = "the file changed while it was read; nothing was taken from it"
        raise fail(InputError, "OL201", claim, place=str(path), hint="run again when nothing writes to it")


def _key(path: Path) -> str:
    return f"{PREFIX}{digest_bytes(os.fsencode(path.absolute()))}"
