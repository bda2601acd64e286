"""The store: content-addressed artifacts and the index of what was computed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from olivelike.store.local import LocalStore


def open_store(root: Path) -> LocalStore:
    """Opens the store in a folder, which is made (mode 0700) where there is none.

    Raises:
        StoreError: OL401, the folder cannot be used.
    """
    from olivelike.store.local import LocalStore

    return LocalStore(root)
