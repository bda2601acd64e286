"""Intake: how files become blobs, out of a folder that is handed over or from where a user keeps them."""

from __future__ import annotations

from pathlib import Path

from olivelike.contracts.artifact import MANIFEST_NAME, Artifact
from olivelike.errors import StoreError, fail
from olivelike.store.blobs import State
from olivelike.store.inventory import File, names_in, refuse_unusable
from olivelike.store.layout import Layout
from olivelike.store.port import Absent
from olivelike.store.stamps import refuse_changed, stamp_of_input


def take(layout: Layout, source: Path, name: str) -> File:
    """Takes over a file of a folder that was handed over."""
    size = source.stat().st_size
    return File(name, layout.blobs.move_in(source), size)


def keep(layout: Layout, source: Path, name: str) -> File:
    """Keeps a copy of a user's file; one that has not changed since, and whose blob is good, is not read again.

    Raises:
        InputError: OL201, the file is missing, unreadable, or changed while it was read.
    """
    stamp = stamp_of_input(source)
    digest = layout.memo.recall(source, stamp)
    if isinstance(digest, Absent) or layout.blobs.check(digest) is not State.GOOD:
        digest = layout.blobs.copy_in(source)
        refuse_changed(source, stamp)
        layout.memo.remember(source, stamp, digest)
    return File(name, digest, stamp.size)


def names_to_publish(folder: Path) -> list[str]:
    """Returns the names of the files of a folder that was handed over.

    Raises:
        StoreError: OL303, there is no such folder, no readable `artifact.json` in it, or something other than plain files.
    """
    if not folder.is_dir():
        raise fail(StoreError, "OL303", "there is no such folder to publish", place=str(folder))
    names = names_in(folder)
    for name in names:
        refuse_unusable(name)
    try:
        Artifact.read(folder, "")
    except (OSError, ValueError, KeyError, TypeError) as error:
        claim = f"the folder has no readable {MANIFEST_NAME}: {error}"
        raise fail(StoreError, "OL303", claim, place=str(folder), hint="write it with Manifest.write") from error
    return names
