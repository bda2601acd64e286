"""The store on this machine's disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from olivelike.contracts.artifact import Artifact
from olivelike.store import open_store
from olivelike.store.inventory import Inventory
from olivelike.store.port import Store
from olivelike.testing.store_contract import StoreContract


class TestLocalStore(StoreContract):
    opener = "olivelike.store:open_store"

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        with open_store(tmp_path / "store") as store:
            yield store

    def stored_file(self, store: Store, artifact: Artifact, name: str) -> Path:
        data = self.stored_manifest(store, artifact).read_bytes()
        (digest,) = (file.digest for file in Inventory.from_bytes(data).files if file.name == name)
        return store.root / "blobs" / digest[:2] / digest

    def stored_manifest(self, store: Store, artifact: Artifact) -> Path:
        return store.root / "manifests" / artifact.digest[:2] / f"{artifact.digest}.json"


@pytest.mark.slow
class TestLocalStoreKilledAtEveryCall(TestLocalStore):
    kills = 10_000
