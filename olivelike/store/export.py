"""Export: how an artifact's files leave the store, large ones by sharing their bytes, never writable through a link."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from olivelike.store.blobs import Blobs
from olivelike.store.inventory import File
from olivelike.store.place import reflink, remove_file


def export_files(blobs: Blobs, files: Iterable[File], folder: Path, link_above: int) -> tuple[str, ...]:
    """Puts checked files into a folder and returns their relative names.

    What bears one of these names already is removed first: writing into it could write into the store.
    """
    names = []
    for file in files:
        target = folder / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_file(target)
        if file.size < link_above or not _share(blobs, file.digest, target):
            blobs.copy(file.digest, target)
        names.append(file.name)
    return tuple(names)


def _share(blobs: Blobs, digest: str, target: Path) -> bool:
    return reflink(blobs.path(digest), target) or blobs.link(digest, target)
