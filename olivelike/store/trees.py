"""Trees: an artifact's files under their own names, as links to the blobs where the file system has links."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from olivelike.store.blobs import Blobs
from olivelike.store.inventory import File, Inventory, is_digest
from olivelike.store.place import READ_ONLY, remove_tree
from olivelike.store.staging import Staging
from olivelike.store.stamps import Memo


class Trees:
    """The materialised artifacts. A tree can always be made again."""

    def __init__(self, folder: Path, blobs: Blobs, staging: Staging, memo: Memo) -> None:
        self._folder = folder
        self._blobs = blobs
        self._staging = staging
        self._memo = memo

    def path(self, digest: str) -> Path:
        """Returns where an artifact's tree lies, or would lie."""
        return self._folder / digest[:2] / digest

    def all(self) -> Iterator[str]:
        """Yields the digest of every artifact that has a tree."""
        for path in sorted(self._folder.glob("*/*")):
            if is_digest(path.name):
                yield path.name

    def materialise(self, inventory: Inventory) -> Path:
        """Returns a folder that holds exactly the artifact's files; its blobs have been checked.

        A damaged tree is mended file by file, so that a process that reads in it is not disturbed.
        """
        folder = self.path(inventory.digest)
        if not folder.is_dir():
            self._build(inventory, folder)
        self._remove_strays(folder, {file.name for file in inventory.files})
        for file in inventory.files:
            if not self._is_whole(folder / file.name, file):
                self._mend(folder / file.name, file)
        return folder

    def remove(self, digest: str) -> None:
        """Removes an artifact's tree; a missing one is no error."""
        remove_tree(self.path(digest))

    def _build(self, inventory: Inventory, folder: Path) -> None:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._staging.tree() as staged:
            for file in inventory.files:
                self._put(staged / file.name, file)
            try:
                staged.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was faster
                    raise

    def _put(self, target: Path, file: File) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not self._blobs.link(file.digest, target):
            self._blobs.copy(file.digest, target)
            target.chmod(READ_ONLY)

    def _is_whole(self, path: Path, file: File) -> bool:
        try:
            found, blob = path.lstat(), self._blobs.path(file.digest).stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        if os.path.samestat(found, blob):
            return True
        return path.is_file() and found.st_size == file.size and self._memo.digest_of(path) == file.digest

    def _mend(self, target: Path, file: File) -> None:
        if target.is_dir():
            remove_tree(target)
        with self._staging.file() as staged:
            self._put(staged, file)
            target.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(target)

    def _remove_strays(self, folder: Path, names: set[str]) -> None:
        for path in _walk(folder):
            if path.is_symlink() or path.relative_to(folder).as_posix() not in names:
                remove_tree(path)


def _walk(folder: Path) -> Iterator[Path]:
    """Yields everything below a folder that is no folder; links are not followed."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        else:
            yield Path(entry.path)
