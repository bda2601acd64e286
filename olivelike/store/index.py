"""The index: JSON records by key, kept by diskcache behind the strict disk.

Each row carries the digest of its key and text, because SQLite has no checksums: a flipped bit makes a record absent, never
wrong. A database that SQLite itself cannot read is left aside, and the next generation (`0002`, ...) begins empty. Generations
have names of their own because a process that still holds the old one would unlink the new one's journal
(https://www.sqlite.org/howtocorrupt.html, section 2.4).
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar, cast

from olivelike.digest import JsonObject, canonical_json, digest_bytes
from olivelike.errors import StoreError, fail
from olivelike.store.port import Absent
from olivelike.store.textdisk import Foreign, NotTextError, TextDisk

logger = logging.getLogger(__name__)
T = TypeVar("T")

DATABASE = "cache.db"
DAMAGED = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
"""Result codes that say the content is wrong; all others (busy, full, read-only) say that it cannot be reached."""
WAIT = 60.0
"""Seconds to wait for another process's write."""
DIGEST_LENGTH = 64


class Index:
    """Records in a folder. Opened at first use; a call after `close` opens it again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opening = threading.Lock()
        self._rows: _Rows | _Closed = _Closed()

    def record(self, key: str, value: JsonObject) -> None:
        """Records a value under a key.

        Raises:
            ValueError: the value holds NaN or an infinity.
        """
        text = _sealed(key, value)
        self._do(lambda rows: rows.set(key, text))

    def lookup(self, key: str) -> JsonObject | Absent:
        """Returns what is recorded under a key; a row that we did not write is removed unread."""
        try:
            text = self._do(lambda rows: rows.get(key, ""))
        except NotTextError as error:
            logger.warning("the index held a row that olivelike did not write; it was removed (%s: %s)", key, error)
            self.forget(key)
            return Absent()
        return _unsealed(key, text) if text else Absent()

    def keys(self, prefix: str) -> list[str]:
        """Returns the keys that start with a prefix, sorted."""
        keys = self._do(lambda rows: list(rows.iterkeys()))
        return [key for key in keys if isinstance(key, str) and key.startswith(prefix)]

    def records(self, prefix: str) -> Iterator[tuple[str, JsonObject]]:
        """Yields the records whose key starts with a prefix, sorted by key."""
        for key in self.keys(prefix):
            value = self.lookup(key)
            if not isinstance(value, Absent):
                yield key, value

    def forget(self, *keys: str) -> None:
        """Removes records, all or none of them; missing ones are no error."""

        def delete(rows: _Rows) -> None:
            with rows.transact():
                for key in keys:
                    rows.delete(key)

        if keys:
            self._do(delete)

    def close(self) -> None:
        """Closes this thread's connection."""
        with self._opening:
            if not isinstance(self._rows, _Closed):
                self._rows.close()
            self._rows = _Closed()

    @property
    def superseded(self) -> tuple[Path, ...]:
        """Folders of earlier, damaged generations."""
        return tuple(self._generations()[:-1])

    def _do(self, action: Callable[[_Rows], T]) -> T:
        rows = self._open()
        try:
            return action(rows)
        except (sqlite3.Error, _timeout()) as error:
            self._raise_unless_damaged(error)
            return action(self._replace(rows))

    def _open(self) -> _Rows:
        with self._opening:
            if isinstance(self._rows, _Closed):
                self._rows = self._newest(advance=False)
            return self._rows

    def _replace(self, damaged: _Rows) -> _Rows:
        with self._opening:
            if self._rows is damaged:
                damaged.close()
                self._rows = self._newest(advance=True)
            elif isinstance(self._rows, _Closed):
                self._rows = self._newest(advance=False)
            return self._rows

    def _newest(self, advance: bool) -> _Rows:
        generations = self._generations()
        number = int(generations[-1].name) if generations else 1
        while True:
            folder = self._folder / f"{number + advance:04d}"
            try:
                return _open_rows(folder)
            except (sqlite3.Error, _timeout()) as error:
                self._raise_unless_damaged(error)
                logger.warning(
                    "the index %s cannot be read and was left aside; cached work is lost (%s)", folder, error
                )
                number += 1

    def _generations(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return sorted(path for path in self._folder.iterdir() if path.name.isdecimal() and path.is_dir())

    def _raise_unless_damaged(self, error: BaseException) -> None:
        cause = error if isinstance(error, sqlite3.Error) else error.__context__
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code not in DAMAGED or (cause is None):
            claim = f"the index cannot be used: {cause or error}"
            hint = "is the disk full, or another process holding it?"
            raise fail(StoreError, "OL401", claim, place=str(self._folder), hint=hint) from error


@dataclass(frozen=True, slots=True)
class _Closed:
    """The index is not open."""


class _Rows(Protocol):
    """The part of `diskcache.Cache` that is used here."""

    def set(self, key: str, value: str) -> bool: ...
    def get(self, key: str, default: str) -> str: ...
    def delete(self, key: str) -> bool: ...
    def iterkeys(self) -> Iterable[str | Foreign]: ...
    def transact(self) -> AbstractContextManager[None]: ...
    def close(self) -> None: ...


def _open_rows(folder: Path) -> _Rows:
    from diskcache import DEFAULT_SETTINGS, Cache

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.path.expandvars(folder) != str(folder):  # diskcache would expand it, and keep its database elsewhere
        raise fail(
            StoreError, "OL401", "the store's path holds the name of a variable", place=str(folder), hint="rename it"
        )
    _refuse_foreign_settings(folder / DATABASE)
    ours = {"eviction_policy": "none", "cull_limit": 0, "sqlite_synchronous": 1, "disk_min_file_size": 1 << 30}
    return cast("_Rows", Cache(str(folder), timeout=WAIT, disk=TextDisk, **(DEFAULT_SETTINGS | ours)))


def _refuse_foreign_settings(database: Path) -> None:
    """Raises an error of SQLite's when the database holds a setting that diskcache would take over as an attribute."""
    from diskcache.core import DEFAULT_SETTINGS, METADATA

    if not database.exists() or not database.stat().st_size:
        return
    with closing(sqlite3.connect(database, timeout=WAIT)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE name = 'Settings'").fetchall()
        names = {name for (name,) in connection.execute("SELECT key FROM Settings").fetchall()} if tables else set()
    if foreign := names - set(DEFAULT_SETTINGS) - set(METADATA):
        raise sqlite3.DatabaseError(f"foreign settings {sorted(map(str, foreign))}")


def _timeout() -> type[Exception]:
    from diskcache import Timeout

    return cast("type[Exception]", Timeout)


def _sealed(key: str, value: JsonObject) -> str:
    text = canonical_json(value).decode()
    return digest_bytes(f"{key}\n{text}".encode()) + text


def _unsealed(key: str, row: str) -> JsonObject | Absent:
    seal, text = row[:DIGEST_LENGTH], row[DIGEST_LENGTH:]
    if seal != digest_bytes(f"{key}\n{text}".encode()):
        logger.warning("a record of the index is damaged and counts as absent: %s", key)
        return Absent()
    return cast("JsonObject", json.loads(text))
