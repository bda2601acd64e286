"""How bytes get to another name: moved, cloned, linked or copied; flushed to disk; published by one rename."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
from pathlib import Path

from olivelike.digest import CHUNK

READ_ONLY = 0o444
FICLONE = 0x40049409
"""The request that makes a copy-on-write clone (linux/fs.h); Btrfs, XFS and bcachefs know it."""


def copy_hashed(source: Path, target: Path) -> str:
    """Copies a file to a new name and returns the sha256 of the bytes that were written."""
    state = hashlib.sha256()
    with source.open("rb") as reading, target.open("xb") as writing:
        while piece := reading.read(CHUNK):
            state.update(piece)
            writing.write(piece)
    return state.hexdigest()


def reflink(source: Path, target: Path) -> bool:
    """Makes `target` a copy-on-write clone of `source`; returns whether the file system could (else nothing is left)."""
    if sys.platform != "linux":
        return False
    import fcntl

    with source.open("rb") as reading, target.open("xb") as writing:
        try:
            fcntl.ioctl(writing.fileno(), FICLONE, reading.fileno())
        except OSError:
            cloned = False
        else:
            cloned = True
    if not cloned:
        target.unlink()
    return cloned


def hard_link(source: Path, target: Path) -> bool:
    """Makes `target` another name of `source`; returns whether the file system could."""
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


def flush(path: Path) -> None:
    """Waits until a file's content, or a folder's names, are on the disk."""
    if sys.platform == "win32" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if sys.platform != "win32" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish_file(staged: Path, target: Path, mode: int) -> None:
    """Puts a complete file in its place: flushed, then renamed, then the rename flushed."""
    flush(staged)
    staged.chmod(mode)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    staged.replace(target)
    flush(target.parent)


def remove_file(path: Path) -> None:
    """Removes a file, read-only or not; a missing one is no error."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:  # Windows keeps read-only files
        path.chmod(stat.S_IWRITE)
        path.unlink(missing_ok=True)


def remove_tree(folder: Path) -> None:
    """Removes a folder with everything in it; follows no link; a missing one is no error."""
    if not folder.is_dir() or folder.is_symlink():
        remove_file(folder)
        return
    for path in sorted(folder.iterdir()):
        remove_tree(path)
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()
