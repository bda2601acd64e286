"""Blobs: files named by the digest of their content, written once, read-only, checked before they are used."""

from __future__ import annotations

import errno
import logging
import os
import secrets
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from olivelike.digest import digest_file
from olivelike.errors import OlivelikeError, StoreError, fail
from olivelike.store.index import Index
from olivelike.store.inventory import is_digest
from olivelike.store.place import READ_ONLY, copy_hashed, hard_link, publish_file, reflink, remove_file
from olivelike.store.port import Absent, Clock
from olivelike.store.staging import Staging
from olivelike.store.stamps import Stamp

logger = logging.getLogger(__name__)


class State(Enum):
    """What a check of a blob found."""

    GOOD = "good"
    BAD = "bad"
    MISSING = "missing"


class Blobs:
    """The content-addressed files. That one was checked is remembered, by its stamp, in the index."""

    def __init__(self, folder: Path, quarantine: Path, staging: Staging, index: Index, now: Clock) -> None:
        self._folder = folder
        self._quarantine = quarantine
        self._staging = staging
        self._index = index
        self._now = now

    def path(self, digest: str) -> Path:
        """Returns where a blob lies, or would lie."""
        return self._folder / digest[:2] / digest

    def all(self) -> Iterator[str]:
        """Yields the digest of every blob."""
        for path in sorted(self._folder.glob("*/*")):
            if is_digest(path.name):
                yield path.name

    def check(self, digest: str) -> State:
        """Says whether a blob holds what its name says; a bad one is set aside. Reads it only if its stamp is new."""
        path = self.path(digest)
        try:
            stamp = Stamp.of(path)
        except FileNotFoundError:
            return State.MISSING
        if self._is_remembered(digest, stamp):
            return State.GOOD
        if digest_file(path) != digest:
            self.set_aside(digest)
            return State.BAD
        self._remember(digest, stamp)
        return State.GOOD

    def move_in(self, source: Path) -> str:
        """Takes over a file and returns its digest; the file is gone from where it was.

        Raises:
            StoreError: OL303, the file changed while it was read.
        """
        before = Stamp.of(source)
        digest = digest_file(source)
        if Stamp.of(source) != before:
            claim = "the file changed while it was published"
            raise fail(StoreError, "OL303", claim, place=str(source), hint="close every writer before returning")
        if self.check(digest) is not State.GOOD and not self._moved(source, digest):
            digest = self.copy_in(source)
        remove_file(source)
        return digest

    def copy_in(self, source: Path) -> str:
        """Takes in a copy of a file, a clone where the file system can, and returns the digest of what was taken."""
        with self._staging.file() as staged:
            digest = digest_file(staged) if reflink(source, staged) else copy_hashed(source, staged)
            if self.check(digest) is not State.GOOD:
                self._place(staged, digest)
        return digest

    def link(self, digest: str, target: Path) -> bool:
        """Gives a checked blob another, read-only name; returns whether the file system could."""
        path = self.path(digest)
        checked = self._is_remembered(digest, Stamp.of(path))
        linked = hard_link(path, target)
        if linked and checked:  # the link changed the blob's stamp
            self._remember(digest, Stamp.of(path))
        return linked

    def copy(self, digest: str, target: Path) -> None:
        """Copies a blob to a new name, writable.

        Raises:
            StoreError: OL402, what was copied is not what the name says.
        """
        if copy_hashed(self.path(digest), target) != digest:
            remove_file(target)
            self.set_aside(digest)
            raise damaged("a file was damaged when it was copied out", self.path(digest))

    def set_aside(self, digest: str) -> None:
        """Moves a bad blob out of the way, for a look at it before the next collection."""
        self._quarantine.mkdir(mode=0o700, exist_ok=True)
        kept = self._quarantine / f"{digest}-{secrets.token_hex(4)}"
        try:
            self.path(digest).replace(kept)
        except FileNotFoundError:
            return
        os.utime(kept, (self._now(), self._now()))
        self.doubt(digest)
        logger.warning("a blob of the store was damaged and was set aside: %s", kept)

    def doubt(self, *digests: str) -> None:
        """Forgets that blobs were checked."""
        self._index.forget(*map(_key, digests))

    def remove(self, *digests: str) -> None:
        """Removes blobs; missing ones are no error."""
        self.doubt(*digests)
        for digest in digests:
            remove_file(self.path(digest))

    def _moved(self, source: Path, digest: str) -> bool:
        if source.stat().st_nlink > 1:  # another name of it may be open for writing
            return False
        try:
            self._place(source, digest)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return False
        return True

    def _place(self, staged: Path, digest: str) -> None:
        os.utime(staged, (self._now(), self._now()))
        publish_file(staged, self.path(digest), READ_ONLY)
        self._remember(digest, Stamp.of(self.path(digest)))

    def _is_remembered(self, digest: str, stamp: Stamp) -> bool:
        row = self._index.lookup(_key(digest))
        return not isinstance(row, Absent) and stamp.has_content_of(Stamp.from_json(row))

    def _remember(self, digest: str, stamp: Stamp) -> None:
        self._index.record(_key(digest), stamp.to_json())


def damaged(claim: str, place: Path) -> OlivelikeError:
    """Returns the error for something in the store that is not what its name says."""
    hint = "run again: the step that made it is repeated"
    return fail(StoreError, "OL402", claim, place=str(place), hint=hint)


def _key(digest: str) -> str:
    return f"blob/{digest}"
