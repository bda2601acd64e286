"""The store on this machine's disk."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from olivelike.contracts.artifact import MANIFEST_NAME, Artifact, Manifest
from olivelike.digest import JsonObject
from olivelike.errors import StoreError, fail
from olivelike.owner import Owner
from olivelike.store.export import export_files
from olivelike.store.gc import collect
from olivelike.store.intake import keep, names_to_publish, take
from olivelike.store.inventory import Inventory, refuse_unusable
from olivelike.store.layout import FOLDERS, Layout, made_key, prepare
from olivelike.store.leases import Lease
from olivelike.store.listing import entries_of
from olivelike.store.opening import inventory_of, is_complete, refuse_incomplete
from olivelike.store.place import remove_tree
from olivelike.store.port import STEP_PREFIX, Absent, Clock, Entry, Store, Swept, Verdict
from olivelike.store.verify import check


class LocalStore(Store):
    """A store in a folder. Every method may be called from several threads and processes at once."""

    def __init__(self, root: Path, *, now: Clock = time.time) -> None:
        """Opens the store in `root`; see `olivelike.store.open_store`. `now` dates the uses of artifacts."""
        self.root = root.absolute()
        prepare(self.root)
        self._now = now
        self._layout = Layout.of(self.root, now)

    def publish(self, folder: Path) -> Artifact:
        """Takes in a filled folder; see `Store.publish`."""
        with self._working(), self._layout.lock.shared():
            names = names_to_publish(folder)
            return self._commit(Inventory.of(take(self._layout, folder / name, name) for name in names))

    def ingest(self, files: Mapping[str, Path], manifest: Manifest) -> Artifact:
        """Takes in files that stay where they are; see `Store.ingest`."""
        for name in files:
            refuse_unusable(name)
        with self._working(), self._layout.lock.shared(), self._layout.staging.tree() as folder:
            manifest.write(folder)
            kept = [keep(self._layout, path, name) for name, path in files.items()]
            return self._commit(Inventory.of([*kept, take(self._layout, folder / MANIFEST_NAME, MANIFEST_NAME)]))

    def digest_of(self, path: Path) -> str:
        """Returns a file's digest; see `Store.digest_of`."""
        with self._working():
            return self._layout.memo.digest_of(path)

    def open(self, digest: str) -> Artifact:
        """Returns a checked artifact; see `Store.open`."""
        with self._working(), self._layout.lock.shared():
            return self._open(inventory_of(self._layout, digest))

    def has(self, digest: str) -> bool:
        """Whether an artifact is complete; see `Store.has`."""
        with self._working():
            return is_complete(self._layout, digest)

    def export(self, artifact: Artifact, folder: Path, *, link_above: int = 1 << 20) -> tuple[str, ...]:
        """Puts an artifact's files into a folder; see `Store.export`."""
        with self._working(), self._layout.lock.shared():
            inventory = inventory_of(self._layout, artifact.digest)
            refuse_incomplete(self._layout, inventory)
            files = [file for file in inventory.files if file.name != MANIFEST_NAME]
            return export_files(self._layout.blobs, files, folder, link_above)

    def record(self, key: str, value: JsonObject) -> None:
        """Records a JSON object; see `Store.record`."""
        with self._working():
            self._layout.index.record(key, value)

    def lookup(self, key: str) -> JsonObject | Absent:
        """Returns what is recorded; see `Store.lookup`."""
        with self._working():
            value = self._layout.index.lookup(key)
            if not isinstance(value, Absent) and key.startswith(STEP_PREFIX):
                self.touch(str(value.get("output", "")))
            return value

    def records(self, prefix: str) -> Iterator[tuple[str, JsonObject]]:
        """Yields records; see `Store.records`."""
        with self._working():
            yield from self._layout.index.records(prefix)

    def forget(self, key: str) -> None:
        """Removes a record; see `Store.forget`."""
        with self._working():
            self._layout.index.forget(key)

    def touch(self, digest: str) -> None:
        """Notes a use; see `Store.touch`."""
        with self._working():
            self._layout.manifests.touch(digest)

    def scratch(self) -> AbstractContextManager[Path]:
        """Gives a folder to fill; see `Store.scratch`."""
        return self._layout.staging.tree()

    def lease(self) -> AbstractContextManager[None]:
        """Holds a lease; see `Store.lease`."""
        return self._layout.leases.hold()

    def in_use(self) -> bool:
        """Looks for leases of other processes; see `Store.in_use`."""
        with self._working():
            return bool(self._others())

    def gc(self, max_bytes: int, *, min_age: float = 3600.0, now: Clock = time.time) -> Swept:
        """Collects garbage; see `Store.gc`."""
        with self._working(), self._layout.lock.exclusive():
            return collect(self._layout, max_bytes, min_age, now())

    def clear(self) -> None:
        """Removes everything but the tag files; see `Store.clear`."""
        with self._working(), self._layout.lock.exclusive():
            self._refuse_running()
            self.close()
            for name in FOLDERS:
                remove_tree(self.root / name)

    def verify(self) -> Verdict:
        """Reads everything; see `Store.verify`."""
        with self._working(), self._layout.lock.shared():
            return check(self._layout)

    def listing(self) -> tuple[Entry, ...]:
        """Returns every artifact; see `Store.listing`."""
        with self._working():
            return entries_of(self._layout)

    def close(self) -> None:
        """Lets go of the index; see `Store.close`."""
        self._layout.index.close()

    def _commit(self, inventory: Inventory) -> Artifact:
        """Writes the manifest of an artifact whose blobs are all there, then its record, and opens it."""
        self._layout.manifests.write(inventory)
        key = made_key(inventory.digest)
        if isinstance(self._layout.index.lookup(key), Absent):
            self._layout.index.record(key, {"at": self._now()})
        return self._open(inventory)

    def _open(self, inventory: Inventory) -> Artifact:
        refuse_incomplete(self._layout, inventory)
        self._layout.manifests.touch(inventory.digest)
        return Artifact.read(self._layout.trees.materialise(inventory), inventory.digest)

    def _refuse_running(self) -> None:
        if others := self._others():
            claim = f"a run is using the store (process {others[0].owner.pid})"
            raise fail(StoreError, "OL401", claim, place=str(self.root), hint="wait for it, or stop it")

    def _others(self) -> list[Lease]:
        mine, now = Owner.current(), time.time()
        return [lease for lease in self._layout.leases.all() if lease.owner != mine and lease.is_live(now)]

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Turns what the file system refuses into an error of the store's."""
        try:
            yield
        except OSError as error:
            claim = f"the store cannot be used: {error.strerror or error}"
            hint = "is the disk full, or the folder read-only?"
            raise fail(StoreError, "OL401", claim, place=str(error.filename or self.root), hint=hint) from error
