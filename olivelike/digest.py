"""Digests: canonical JSON, sha256 of bytes, files and folders. Every key and every name in the store rests on these."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = "dict[str, Json]"

CHUNK = 1 << 20


def canonical_json(value: Json) -> bytes:
    """Returns the one byte string of a JSON value: keys sorted, no blanks, UTF-8, no NaN.

    Numbers keep their type (`1` and `1.0` differ), because a configuration may read them differently.

    Raises:
        ValueError: the value holds NaN or an infinity.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_bytes(data: bytes) -> str:
    """Returns the sha256 of bytes, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest_json(value: Json) -> str:
    """Returns the sha256 of a JSON value's canonical form."""
    return digest_bytes(canonical_json(value))


def digest_file(path: Path) -> str:
    """Returns the sha256 of every byte of a file, read in pieces of 1 MiB."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            state.update(piece)
    return state.hexdigest()


def digest_tree(entries: Iterable[tuple[str, str]]) -> str:
    """Returns the digest of a folder: the sha256 over its sorted (relative POSIX name, file digest) pairs."""
    return digest_json({"kind": "tree", "format": 1, "files": sorted([name, digest] for name, digest in entries)})


def files_below(folder: Path) -> list[str]:
    """Returns the relative POSIX names of all plain files below a folder, sorted; links are followed only to files."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
