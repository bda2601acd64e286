"""Collection by last use, and the sweeping of what killed runs left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from olivelike.contracts.artifact import Artifact
from olivelike.owner import Owner
from olivelike.store.local import LocalStore
from olivelike.store.port import Absent
from olivelike.testing.store_children import TINY, publish
from tests.store.conftest import Hand

DAY = 86400.0


@pytest.fixture
def aged(local: LocalStore, clock: Hand) -> list[Artifact]:
    """Three artifacts of 1000 bytes each and a shared description, published a day apart."""
    artifacts = []
    for number in range(3):
        artifacts.append(publish(local, {"model.onnx": bytes([number]) * 1000}))
        local.record(f"step/{number}", {"output": artifacts[-1].digest})
        clock.at += DAY
    return artifacts


def kept(local: LocalStore, artifacts: list[Artifact]) -> list[bool]:
    """Returns for each artifact whether it is still there."""
    return [local.has(artifact.digest) for artifact in artifacts]


@pytest.mark.parametrize("use", ["open", "lookup", "touch", "publish"])
def test_used_artifact_outlives_a_newer_unused_one(
    local: LocalStore, aged: list[Artifact], clock: Hand, use: str
) -> None:
    match use:
        case "open":
            local.open(aged[0].digest)
        case "lookup":
            local.lookup("step/0")
        case "touch":
            local.touch(aged[0].digest)
        case _:
            publish(local, {"model.onnx": bytes(1000)})
    clock.at += DAY
    swept = local.gc(2200, now=clock)
    assert (swept.artifacts, swept.freed) == (1, 1000)
    assert kept(local, aged) == [True, False, True]


def test_looking_at_an_artifact_is_no_use(local: LocalStore, aged: list[Artifact], clock: Hand) -> None:
    local.has(aged[0].digest)
    local.listing()
    local.verify()
    local.gc(2200, now=clock)
    assert kept(local, aged) == [False, True, True]


def test_steps_of_removed_artifacts_are_forgotten_and_others_stay(
    local: LocalStore, aged: list[Artifact], clock: Hand
) -> None:
    local.record("measure/0", {"value": 1.0})
    local.gc(2200, now=clock)
    assert local.lookup("step/0") == Absent()
    assert local.lookup("step/1") == {"output": aged[1].digest}
    assert local.lookup("measure/0") == {"value": 1.0}
    assert local.verify().bad == ()


def test_tree_of_a_removed_artifact_goes_with_it(local: LocalStore, aged: list[Artifact], clock: Hand) -> None:
    local.gc(2200, now=clock)
    assert [artifact.folder.exists() for artifact in aged] == [False, True, True]


def test_minimal_age_counts_from_the_last_use(local: LocalStore, aged: list[Artifact], clock: Hand) -> None:
    local.gc(0, min_age=1.5 * DAY, now=clock)
    assert kept(local, aged) == [False, False, True]


def test_lease_keeps_everything_used_since_it_began(local: LocalStore, aged: list[Artifact], clock: Hand) -> None:
    with local.lease():
        local.open(aged[1].digest)
        clock.at += DAY
        local.gc(0, min_age=0, now=clock)
        assert kept(local, aged) == [False, True, False]
    clock.at += 1
    local.gc(0, min_age=0, now=clock)
    assert kept(local, aged) == [False, False, False]


def test_collection_heals_a_store_with_damaged_artifacts(local: LocalStore, aged: list[Artifact], clock: Hand) -> None:
    manifest = local.root / "manifests" / aged[0].digest[:2] / f"{aged[0].digest}.json"
    manifest.write_bytes(b"garbage")
    for blob in (local.root / "blobs").rglob("*"):
        if blob.is_file() and blob.read_bytes() == b"\1" * 1000:
            blob.unlink()
    assert {problem.code for problem in local.verify().bad} == {"OL402", "OL403"}
    swept = local.gc(1 << 30, now=clock)
    assert (swept.artifacts, swept.freed, swept.leftovers) == (0, 1000, 2)
    assert local.verify().bad == ()
    assert kept(local, aged) == [False, False, True]


def test_leftovers_go_by_age_unless_their_process_lives(local: LocalStore, clock: Hand) -> None:
    staging, mine = local.root / "staging", Owner.current()
    dead = [staging / f"{mine.machine}-{1 << 29}-aa", staging / "elsewhere-1-bb", staging / "unheard of"]
    for folder in dead:
        (folder / "sub").mkdir(parents=True)
    with local.scratch() as alive:
        assert local.gc(0, now=clock).leftovers == 0
        clock.at += DAY
        assert local.gc(0, now=clock).leftovers == 3
        assert alive.is_dir()
    assert list(staging.iterdir()) == []


def test_orphans_of_every_kind_are_swept(local: LocalStore, aged: list[Artifact], clock: Hand) -> None:
    orphan = local.root / "blobs" / "00" / ("0" * 64)
    tree = local.root / "trees" / "00" / ("0" * 64)
    tree.mkdir(parents=True)
    (tree / "model.onnx").write_bytes(b"nobody's")
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"nobody's")
    (local.root / "quarantine" / "bad").write_bytes(b"bad")
    (local.root / "leases" / "1-aa.json").write_bytes(b"{}")
    for path in (tree, orphan, local.root / "quarantine" / "bad"):
        os.utime(path, (clock.at - DAY, clock.at - DAY))
    swept = local.gc(1 << 30, now=clock)
    assert (swept.artifacts, swept.freed, swept.leftovers) == (0, 8, 3)
    assert kept(local, aged) == [True, True, True]


def test_memory_of_files_that_are_gone_is_forgotten(local: LocalStore, tmp_path: Path, clock: Hand) -> None:
    clock.at += DAY
    for name in ("stays", "goes"):
        (tmp_path / name).write_bytes(b"content")
        local.digest_of(tmp_path / name)
    (tmp_path / "goes").unlink()
    local.gc(1 << 30, now=clock)
    assert [value["path"] for _, value in local.records("file/")] == [str(tmp_path / "stays")]


def test_last_use_is_written_at_most_once_a_minute(local: LocalStore, clock: Hand) -> None:
    digest = publish(local, TINY).digest
    (first,) = local.listing()
    clock.at += 30
    local.touch(digest)
    assert local.listing() == (first,)
    clock.at += 30
    local.touch(digest)
    (entry,) = local.listing()
    assert entry.used == pytest.approx(clock.at, abs=1e-3)  # the file system keeps at least milliseconds here
    assert entry.created == pytest.approx(first.created, abs=1e-3)


def test_listing_says_what_an_artifact_is_and_which_steps_made_it(local: LocalStore, aged: list[Artifact]) -> None:
    local.record("step/again", {"output": aged[0].digest})
    newest, _, oldest = local.listing()
    assert (newest.digest, newest.kind, newest.bytes > 1000) == (aged[2].digest, "onnx", True)
    assert oldest.made_by == ("step/0", "step/again")
    assert newest.used - oldest.used == pytest.approx(2 * DAY, abs=1e-3)
