"""Opening: an artifact's inventory is found, and each of its files is there and whole, or the error says which is not."""

from __future__ import annotations

from typing import assert_never

from olivelike.errors import StoreError, fail
from olivelike.store.blobs import State, damaged
from olivelike.store.inventory import File, Inventory
from olivelike.store.layout import Layout
from olivelike.store.manifests import Damaged
from olivelike.store.port import Absent

AGAIN = "run again: the step that made it is repeated"


def inventory_of(layout: Layout, digest: str) -> Inventory:
    """Returns an artifact's inventory; a damaged manifest is removed.

    Raises:
        StoreError: OL402, the manifest is damaged; OL403, there is none.
    """
    match layout.manifests.read(digest):
        case Inventory() as inventory:
            return inventory
        case Damaged(reason=reason):
            path = layout.manifests.path(digest)
            layout.manifests.remove(digest)
            raise damaged(f"the manifest of the artifact {digest} is damaged and was removed: {reason}", path)
        case Absent():
            raise fail(StoreError, "OL403", f"the store holds no artifact {digest!r}", hint=AGAIN)
        case _ as never:
            assert_never(never)


def refuse_incomplete(layout: Layout, inventory: Inventory) -> None:
    """Raises StoreError unless every file of an artifact is there (OL403) and whole (OL402); bad ones are set aside."""
    states = {file: layout.blobs.check(file.digest) for file in inventory.files}
    for file, state in states.items():
        path = layout.blobs.path(file.digest)
        if state is State.BAD:
            claim = f"the file {file.name} of the artifact {inventory.digest} is damaged and was set aside"
            raise damaged(claim, path)
        if state is State.GOOD and not _has_size(layout, file):
            layout.manifests.remove(inventory.digest)
            claim = (
                f"the manifest of the artifact {inventory.digest} gives a wrong size for {file.name} and was removed"
            )
            raise damaged(claim, path)
    if missing := [file.name for file, state in states.items() if state is State.MISSING]:
        claim = f"the store no longer holds {', '.join(missing)} of the artifact {inventory.digest}"
        raise fail(StoreError, "OL403", claim, hint=AGAIN)


def is_complete(layout: Layout, digest: str) -> bool:
    """Whether an artifact's manifest is sound and its files are there with their sizes; reads no file's content."""
    inventory = layout.manifests.read(digest)
    return isinstance(inventory, Inventory) and all(_has_size(layout, file) for file in inventory.files)


def _has_size(layout: Layout, file: File) -> bool:
    try:
        return layout.blobs.path(file.digest).stat().st_size == file.size
    except FileNotFoundError:
        return False
