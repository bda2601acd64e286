"""The full check: every blob is read, every manifest and every record is held against what it names."""

from __future__ import annotations

from collections.abc import Iterator

from olivelike.digest import digest_file
from olivelike.errors import Problem
from olivelike.store.inventory import Inventory
from olivelike.store.layout import Layout, step_outputs
from olivelike.store.manifests import Damaged
from olivelike.store.port import Absent, Verdict

AGAIN = "run again: the step that made it is repeated; `olivelike cache gc` removes what is left"


def check(layout: Layout) -> Verdict:
    """Reads the whole store and says what is damaged or missing. What was remembered about a bad blob is forgotten."""
    blobs, manifests = list(layout.blobs.all()), list(layout.manifests.all())
    outputs = list(step_outputs(layout.index))
    bad = (*_bad_blobs(layout, blobs), *_bad_manifests(layout, manifests), *_dangling(layout, outputs))
    return Verdict(len(blobs) + len(manifests) + len(outputs), bad)


def _bad_blobs(layout: Layout, digests: list[str]) -> Iterator[Problem]:
    for digest in digests:
        path = layout.blobs.path(digest)
        if digest_file(path) != digest:
            layout.blobs.doubt(digest)
            yield Problem("OL402", "the blob is not what its name says", place=str(path), hint=AGAIN)


def _bad_manifests(layout: Layout, digests: list[str]) -> Iterator[Problem]:
    for digest in digests:
        place = str(layout.manifests.path(digest))
        match layout.manifests.read(digest):
            case Inventory() as inventory:
                for claim in _missing(layout, inventory):
                    yield Problem("OL403", claim, place=place, hint=AGAIN)
            case Damaged(reason=reason):
                yield Problem("OL402", f"the manifest is damaged: {reason}", place=place, hint=AGAIN)
            case Absent():
                continue


def _missing(layout: Layout, inventory: Inventory) -> Iterator[str]:
    for file in inventory.files:
        path = layout.blobs.path(file.digest)
        if not path.exists():
            yield f"the artifact's file {file.name} is missing from the store"
        elif path.stat().st_size != file.size:
            yield f"the artifact's file {file.name} has {path.stat().st_size} bytes, its manifest says {file.size}"


def _dangling(layout: Layout, outputs: list[tuple[str, str]]) -> Iterator[Problem]:
    for key, output in outputs:
        if not layout.manifests.holds(output):
            yield Problem("OL403", f"the record names the artifact {output}, which is not there", path=key, hint=AGAIN)
