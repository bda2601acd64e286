"""The port of a store: what every backend can do, and the types of its answers."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.digest import JsonObject
from olivelike.errors import Problem

Clock: TypeAlias = Callable[[], float]
"""Returns seconds since the epoch."""

STEP_PREFIX = "step/"
"""Keys of records whose value names an artifact under `output`."""


@dataclass(frozen=True, slots=True)
class Absent:
    """Nothing is recorded under the key."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a garbage collection did.

    Attributes:
        freed: bytes of content removed.
        kept: bytes of content left.
        artifacts: how many artifacts were removed.
        leftovers: how many remains of killed or damaged work were removed.
    """

    freed: int
    kept: int
    artifacts: int
    leftovers: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a full check found: how many blobs, manifests and records were checked, and what is wrong (OL402, OL403)."""

    checked: int
    bad: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """An artifact as a listing shows it.

    Attributes:
        digest: its digest.
        kind: its kind; `unreadable` when its `artifact.json` is damaged or missing.
        bytes: the sum of its files' sizes, those it shares with other artifacts included.
        created: when it was first published, in seconds since the epoch.
        used: when it was last used.
        made_by: keys of the step records that name it as their output.
        steps: names of the steps that made it, in the order of their keys, none twice; empty for what was taken in.
        files: names of its files, its manifest left out.
    """

    digest: str
    kind: str
    bytes: int
    created: float
    used: float
    made_by: tuple[str, ...]
    steps: tuple[str, ...]
    files: tuple[str, ...]


class Store(ABC):
    """Artifacts by the digest of their content, and an index of JSON records. Safe for several processes and threads."""

    root: Path

    @abstractmethod
    def publish(self, folder: Path) -> Artifact:
        """Takes in a filled folder with its `artifact.json` and returns the artifact; the folder's files are consumed.

        Raises:
            StoreError: OL303, the folder holds links, unusable names or no readable `artifact.json`.
        """

    @abstractmethod
    def ingest(self, files: Mapping[str, Path], manifest: Manifest) -> Artifact:
        """Takes in files that lie elsewhere and stay untouched; files that have not changed are not read again.

        Args:
            files: relative POSIX name in the artifact to the file.
            manifest: what the artifact is.

        Raises:
            InputError: OL201, a file is missing or changed while it was read; nothing is published then.
        """

    @abstractmethod
    def digest_of(self, path: Path) -> str:
        """Returns a file's digest, remembered until the file changes.

        Raises:
            InputError: OL201, the file is missing or changed while it was read.
        """

    @abstractmethod
    def open(self, digest: str) -> Artifact:
        """Returns an artifact whose every byte is known to be right, as a read-only folder.

        Raises:
            StoreError: OL402, it is damaged (what was bad has been set aside); OL403, the store does not hold it.
        """

    @abstractmethod
    def has(self, digest: str) -> bool:
        """Whether the artifact is there, its files complete; reads no content."""

    @abstractmethod
    def export(self, artifact: Artifact, folder: Path, *, link_above: int = 1 << 20) -> tuple[str, ...]:
        """Puts an artifact's files, `artifact.json` left out, into a folder and returns their relative names, sorted.

        Files of at least `link_above` bytes share their bytes with the store where the file system allows: as a writable
        copy-on-write clone, else as a read-only hard link. All others are plain writable copies.

        Raises:
            StoreError: as `open`.
        """

    @abstractmethod
    def record(self, key: str, value: JsonObject) -> None:
        """Records a JSON object under a key (`step/<hex>`), in place of an older one."""

    @abstractmethod
    def lookup(self, key: str) -> JsonObject | Absent:
        """Returns what is recorded under a key; a step's record counts as a use of its output."""

    @abstractmethod
    def records(self, prefix: str) -> Iterator[tuple[str, JsonObject]]:
        """Yields the records whose key starts with the prefix, sorted by key."""

    @abstractmethod
    def forget(self, key: str) -> None:
        """Removes a record; a missing one is no error."""

    @abstractmethod
    def touch(self, digest: str) -> None:
        """Notes that an artifact was used now (kept to the minute)."""

    @abstractmethod
    def scratch(self) -> AbstractContextManager[Path]:
        """Gives an empty folder on the store's own file system, so that `publish` can move; deleted at the end."""

    @abstractmethod
    def lease(self) -> AbstractContextManager[None]:
        """Says that a run is under way: until the end, `gc` keeps everything used since the beginning."""

    @abstractmethod
    def in_use(self) -> bool:
        """Whether another process's run is using the store."""

    @abstractmethod
    def gc(self, max_bytes: int, *, min_age: float = 3600.0, now: Clock = time.time) -> Swept:
        """Removes artifacts, the longest unused first, until the content is at most `max_bytes`; sweeps leftovers.

        Args:
            max_bytes: how much content may stay.
            min_age: seconds; nothing used or written more recently is touched.
            now: the clock.
        """

    @abstractmethod
    def clear(self) -> None:
        """Removes everything but the folder's own tag files.

        Raises:
            StoreError: OL401, another process's run is using the store.
        """

    @abstractmethod
    def verify(self) -> Verdict:
        """Reads everything and says what is damaged or missing; changes nothing that is served."""

    @abstractmethod
    def listing(self) -> tuple[Entry, ...]:
        """Returns every artifact, the most recently used first."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of the index; a later call opens it again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
