"""The layout of a local store: its folders, and the parts that keep them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from olivelike.errors import StoreError, fail
from olivelike.store.blobs import Blobs
from olivelike.store.index import Index
from olivelike.store.inventory import is_digest
from olivelike.store.leases import Leases
from olivelike.store.location import TAG, TAG_NAME, is_tagged
from olivelike.store.lock import StoreLock
from olivelike.store.manifests import Manifests
from olivelike.store.port import STEP_PREFIX, Clock
from olivelike.store.staging import Staging
from olivelike.store.stamps import Memo
from olivelike.store.trees import Trees

FOLDERS = ("blobs", "manifests", "trees", "index", "leases", "quarantine", "staging")


@dataclass(frozen=True, slots=True)
class Layout:
    """The parts of a local store."""

    lock: StoreLock
    staging: Staging
    quarantine: Path
    index: Index
    memo: Memo
    blobs: Blobs
    manifests: Manifests
    trees: Trees
    leases: Leases

    @classmethod
    def of(cls, root: Path, now: Clock) -> Layout:
        """Returns the parts of the store in a folder that `prepare` has made."""
        staging, quarantine, index = Staging(root / "staging"), root / "quarantine", Index(root / "index")
        memo = Memo(index, now)
        blobs = Blobs(root / "blobs", quarantine, staging, index, now)
        return cls(
            lock=StoreLock(root / TAG_NAME),
            staging=staging,
            quarantine=quarantine,
            index=index,
            memo=memo,
            blobs=blobs,
            manifests=Manifests(root / "manifests", staging, now),
            trees=Trees(root / "trees", blobs, staging, memo),
            leases=Leases(root / "leases", staging, now),
        )


def prepare(root: Path) -> None:
    """Makes the store's folder (mode 0700) and its tag where they are missing.

    Raises:
        StoreError: OL401, it cannot be made, or it holds other things: what is cleared later must be ours.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_tagged(root):
            _refuse_used(root)
            (root / TAG_NAME).write_text(TAG, encoding="utf-8")
        for name in FOLDERS:
            (root / name).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        hint = "name a folder that you may write in: --cache-dir, or OLIVELIKE_CACHE_DIR"
        claim = f"the store's folder cannot be used: {error.strerror or error}"
        raise fail(StoreError, "OL401", claim, place=str(root), hint=hint) from error


def entries(folder: Path) -> list[Path]:
    """Returns what lies in a folder, sorted; nothing where there is no folder."""
    return sorted(folder.iterdir()) if folder.is_dir() else []


def made_key(digest: str) -> str:
    """Returns the key under which the time of an artifact's first publication is recorded."""
    return f"made/{digest}"


def step_outputs(index: Index) -> Iterator[tuple[str, str]]:
    """Yields the key and the output of every step record that names one."""
    for key, value in index.records(STEP_PREFIX):
        output = value.get("output")
        if isinstance(output, str) and is_digest(output):
            yield key, output


def _refuse_used(root: Path) -> None:
    if strangers := [path.name for path in entries(root) if path.name != TAG_NAME]:
        claim = f"the folder holds other things ({', '.join(strangers[:3])}) and is no cache of olivelike"
        hint = "name a new or an empty folder"
        raise fail(StoreError, "OL401", claim, place=str(root), hint=hint)
