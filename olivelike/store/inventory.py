"""The inventory of an artifact: its files by name, digest and size. The artifact's digest is the digest of this."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from olivelike.digest import Json, canonical_json, digest_tree
from olivelike.errors import StoreError, fail

DIGEST = re.compile(r"[0-9a-f]{64}")
UNUSABLE = re.compile(r"[\\:\x00-\x1f\ud800-\udfff]")
"""Backslashes and colons mean something else on Windows; lone surrogates are names that are not UTF-8."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of an artifact."""

    name: str
    digest: str
    size: int


@dataclass(frozen=True)
class Inventory:
    """The files of an artifact, sorted by name."""

    files: tuple[File, ...]

    @classmethod
    def of(cls, files: Iterable[File]) -> Inventory:
        """Returns the inventory of files in any order.

        Raises:
            StoreError: OL303, a name is unusable or stands for both a file and a folder.
        """
        ordered = tuple(sorted(files, key=lambda file: file.name))
        names = {file.name for file in ordered}
        for name in names:
            refuse_unusable(name)
        folders = {str(parent) for name in names for parent in _parents(name)}
        if len(names) < len(ordered) or names & folders:
            claim = f"names stand for more than one thing: {sorted(names & folders) or sorted(names)}"
            raise fail(StoreError, "OL303", claim)
        return cls(ordered)

    @cached_property
    def digest(self) -> str:
        """The artifact's digest."""
        return digest_tree((file.name, file.digest) for file in self.files)

    @property
    def size(self) -> int:
        """The sum of the files' sizes in bytes."""
        return sum(file.size for file in self.files)

    def to_bytes(self) -> bytes:
        """Returns the one byte string of this inventory."""
        rows: list[Json] = [[file.name, file.digest, file.size] for file in self.files]
        return canonical_json({"format": 1, "files": rows})

    @classmethod
    def from_bytes(cls, data: bytes) -> Inventory:
        """Reads what `to_bytes` wrote.

        Raises:
            ValueError: it is anything else, be it by one byte.
        """
        try:
            rows = json.loads(data)["files"]
            inventory = cls.of(File(str(name), str(digest), int(size)) for name, digest, size in rows)
        except (KeyError, TypeError, ValueError, RecursionError, StoreError) as error:
            raise ValueError(f"not an inventory: {error}") from error
        if inventory.to_bytes() != data or not all(is_digest(file.digest) for file in inventory.files):
            raise ValueError("not an inventory in its one written form")
        return inventory


def is_digest(text: str) -> bool:
    """Whether a text is a sha256 in hex; nothing else ever becomes part of a path."""
    return DIGEST.fullmatch(text) is not None


def refuse_unusable(name: str) -> None:
    """Raises StoreError (OL303) for a name that could leave its folder or that some system cannot hold."""
    if any(part in ("", ".", "..") for part in name.split("/")) or UNUSABLE.search(name):
        claim = f"a file of an artifact cannot be called {name!r}"
        hint = "use a relative name without `..`, backslash, colon or control characters"
        raise fail(StoreError, "OL303", claim, hint=hint)


def names_in(folder: Path) -> list[str]:
    """Returns the relative POSIX names of a folder's files, sorted.

    Raises:
        StoreError: OL303, there is a symbolic link or something else that is no plain file.
    """
    names: list[str] = []
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise fail(
                StoreError, "OL303", "an artifact holds plain files only", place=str(path), hint="copy its target"
            )
        if path.is_dir():
            names += [f"{path.name}/{name}" for name in names_in(path)]
        else:
            names.append(path.name)
    return sorted(names)


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
