"""The listing: every artifact with its kind, size, age and the steps that made it."""

from __future__ import annotations

import json
from collections import defaultdict

from olivelike.contracts.artifact import MANIFEST_NAME
from olivelike.store.inventory import Inventory
from olivelike.store.layout import Layout, made_key, step_outputs
from olivelike.store.port import Absent, Entry


def entries_of(layout: Layout) -> tuple[Entry, ...]:
    """Returns an entry for every artifact, the most recently used first."""
    makers: dict[str, list[str]] = defaultdict(list)
    for key, output in step_outputs(layout.index):
        makers[output].append(key)
    found = [
        Entry(
            digest=digest,
            kind=_kind(layout, inventory),
            bytes=inventory.size,
            created=_created(layout, digest),
            used=layout.manifests.used(digest),
            made_by=tuple(makers[digest]),
            steps=tuple(dict.fromkeys(_step_name(layout, key) for key in makers[digest])),
            files=tuple(file.name for file in inventory.files if file.name != MANIFEST_NAME),
        )
        for digest in layout.manifests.all()
        if isinstance(inventory := layout.manifests.read(digest), Inventory)
    ]
    return tuple(sorted(found, key=lambda entry: (-entry.used, entry.digest)))


def _step_name(layout: Layout, key: str) -> str:
    record = layout.index.lookup(key)
    return "unnamed" if isinstance(record, Absent) else str(record.get("step", "unnamed"))


def _kind(layout: Layout, inventory: Inventory) -> str:
    blob = next(file.digest for file in inventory.files if file.name == MANIFEST_NAME)
    try:
        return str(json.loads(layout.blobs.path(blob).read_bytes())["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        return "unreadable"


def _created(layout: Layout, digest: str) -> float:
    row = layout.index.lookup(made_key(digest))
    at = 0.0 if isinstance(row, Absent) else row.get("at")
    return float(at) if isinstance(at, (int, float)) and at else layout.manifests.used(digest)
