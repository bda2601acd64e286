"""Garbage collection: artifacts go by last use, content goes with its last artifact, leftovers go by age.

What is removed goes in the reverse order of its writing (record, manifest, tree, blob), so that a collection that is killed
leaves garbage too, never a lie. It runs with the store to itself; see `lock`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from olivelike.owner import Life
from olivelike.store.inventory import Inventory
from olivelike.store.layout import Layout, entries, made_key, step_outputs
from olivelike.store.manifests import TOUCH_EVERY
from olivelike.store.place import remove_tree
from olivelike.store.port import Swept
from olivelike.store.staging import owner_of


@dataclass(frozen=True, slots=True)
class Idle:
    """Decides what is old enough to go: unused for `min_age` seconds, and since before the oldest running run began."""

    now: float
    min_age: float
    oldest_lease: float

    def __call__(self, at: float) -> bool:
        """Whether something last used or written at a time may go."""
        return self.now - at >= self.min_age and at < self.oldest_lease - TOUCH_EVERY


def collect(layout: Layout, max_bytes: int, min_age: float, now: float) -> Swept:
    """Removes artifacts until the content is at most `max_bytes`, then leftovers; see `Store.gc`."""
    live = [lease.started for lease in layout.leases.all() if lease.is_live(now)]
    idle = Idle(now, min_age, min(live, default=math.inf))
    census = _Census.of(layout)
    removed = census.choose(max_bytes, idle)
    broken = [digest for digest in census.broken if idle(layout.manifests.used(digest))]
    _remove_artifacts(layout, {*removed, *broken})
    unnamed = _unnamed_blobs(layout, census, idle)
    layout.blobs.remove(*unnamed)
    freed = sum(census.sizes[digest] for digest in unnamed)
    leftovers = len(broken) + _sweep(layout, idle, now)
    return Swept(freed, census.total - freed, len(removed), leftovers)


@dataclass(slots=True)
class _Census:
    """What the store holds.

    Attributes:
        whole: the artifacts whose blobs are all there.
        broken: digests of manifests that are damaged, or miss a blob.
        sizes: every blob with its size in bytes.
        uses: blob to how many manifests of whole artifacts name it.
        used: artifact to its last use.
    """

    whole: dict[str, Inventory] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    uses: Counter[str] = field(default_factory=Counter)
    used: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, layout: Layout) -> _Census:
        census = cls()
        census.sizes = {digest: layout.blobs.path(digest).stat().st_size for digest in layout.blobs.all()}
        for digest in layout.manifests.all():
            inventory = layout.manifests.read(digest)
            if isinstance(inventory, Inventory) and all(file.digest in census.sizes for file in inventory.files):
                census.whole[digest] = inventory
                census.used[digest] = layout.manifests.used(digest)
                census.uses.update({file.digest for file in inventory.files})
            else:
                census.broken.append(digest)
        return census

    @property
    def total(self) -> int:
        return sum(self.sizes.values())

    def choose(self, max_bytes: int, idle: Idle) -> list[str]:
        """Returns the artifacts to remove, the longest unused first, and takes their uses of blobs off the count."""
        held = sum(self.sizes[digest] for digest in self.uses)
        removed = []
        for digest in sorted(self.whole, key=lambda digest: (self.used[digest], digest)):
            if held <= max_bytes or not idle(self.used[digest]):
                break
            for blob in {file.digest for file in self.whole[digest].files}:
                self.uses[blob] -= 1
                held -= 0 if self.uses[blob] else self.sizes[blob]
            removed.append(digest)
        return removed


def _remove_artifacts(layout: Layout, digests: set[str]) -> None:
    gone = {made_key(digest) for digest in digests}
    gone |= {
        key for key, output in step_outputs(layout.index) if output in digests or not layout.manifests.holds(output)
    }
    layout.index.forget(*gone)
    for digest in digests:
        layout.manifests.remove(digest)
        layout.trees.remove(digest)


def _unnamed_blobs(layout: Layout, census: _Census, idle: Idle) -> list[str]:
    """Returns the blobs whose last artifact goes, and the old ones that no artifact ever named."""
    return [
        digest
        for digest in census.sizes
        if not census.uses[digest] and (digest in census.uses or idle(layout.blobs.path(digest).stat().st_mtime))
    ]


def _sweep(layout: Layout, idle: Idle, now: float) -> int:
    """Removes what killed runs and damage left behind and returns how many things; also forgets files that are gone."""
    layout.memo.forget_lost()
    swept = tuple(_leftovers(layout, idle, now))
    for path in swept:
        remove_tree(path)
    return len(swept)


def _leftovers(layout: Layout, idle: Idle, now: float) -> Iterator[Path]:
    for path in entries(layout.staging.folder):
        if idle(path.lstat().st_mtime) and owner_of(path).life(since=path.lstat().st_mtime) is not Life.ALIVE:
            yield path
    for digest in layout.trees.all():
        tree = layout.trees.path(digest)
        if not layout.manifests.holds(digest) and idle(tree.stat().st_mtime):
            yield tree
    for path in (*entries(layout.quarantine), *layout.index.superseded):
        if idle(path.lstat().st_mtime):
            yield path
    yield from (lease.path for lease in layout.leases.all() if not lease.is_live(now))
