"""What every store must do: subclass `StoreContract` in a test module and give it a `store` fixture.

The suite damages what is stored, lets processes race, and kills processes at their system calls while they publish.
"""
# ruff: noqa: D102  # the name of a test is its description

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, ParamSpec

from olivelike.contracts.artifact import Artifact
from olivelike.errors import InputError, OlivelikeError, StoreError
from olivelike.store.port import Absent, Store, Verdict
from olivelike.store.stamps import Stamp
from olivelike.testing.store_children import (
    MANIFEST,
    OWN,
    TINY,
    Work,
    count_calls,
    is_killed,
    open_by,
    publish,
    publish_and_record,
    race,
    searching,
    write,
)

P = ParamSpec("P")

LARGE = 1 << 20


class StoreContract:
    """The conformance suite of a store.

    Example:
        ```python
        class TestMyStore(StoreContract):
            opener = "my_package.store:open_store"

            @pytest.fixture
            def store(self, tmp_path: Path) -> Iterator[Store]:
                with open_store(tmp_path / "store") as store:
                    yield store

            def stored_file(self, store: Store, artifact: Artifact, name: str) -> Path:
                return ...  # the file in which the store keeps the bytes of one file of the artifact

            def stored_manifest(self, store: Store, artifact: Artifact) -> Path:
                return ...  # the file in which it keeps what the artifact consists of
        ```
    """

    opener: ClassVar[str]
    """`module:function` that opens the store in a folder, for child processes."""
    kills: ClassVar[int] = 20
    """At about how many system calls, spread over its work, a process is killed; many means at each of them."""

    def stored_file(self, store: Store, artifact: Artifact, name: str) -> Path:
        """Returns the file in which the store keeps the bytes of one of the artifact's files."""
        raise NotImplementedError

    def stored_manifest(self, store: Store, artifact: Artifact) -> Path:
        """Returns the file in which the store keeps what the artifact consists of."""
        raise NotImplementedError

    def test_published_artifact_holds_what_was_put_into_the_folder(self, store: Store) -> None:
        artifact = publish(store, TINY)
        assert contents(artifact) == TINY
        assert artifact.manifest == MANIFEST
        assert artifact.model == artifact.folder / "model.onnx"
        assert store.has(artifact.digest)
        assert store.open(artifact.digest) == artifact

    def test_equal_content_has_one_digest_whichever_way_it_came_in(self, store: Store, tmp_path: Path) -> None:
        files = write(tmp_path / "mine", TINY)
        assert publish(store, TINY).digest == publish(store, TINY).digest == store.ingest(files, MANIFEST).digest

    def test_digest_changes_with_a_byte_a_name_or_the_description(self, store: Store) -> None:
        renamed = {"model.onnx": TINY["model.onnx"], "sub/other.bin": TINY["sub/weights.bin"]}
        described = publish(store, TINY, MANIFEST.noted(fuse={"fused": 1}))
        others = [publish(store, TINY | {"model.onnx": b"N"}), publish(store, renamed), described]
        assert len({publish(store, TINY).digest, *(artifact.digest for artifact in others)}) == 4

    def test_ingested_files_stay_untouched(self, store: Store, tmp_path: Path) -> None:
        files = write(tmp_path / "mine", TINY | {"large.bin": bytes(LARGE)})
        before = {name: Stamp.of(path) for name, path in files.items()}
        artifact = store.ingest(files, MANIFEST)
        assert {name: Stamp.of(path) for name, path in files.items()} == before
        files["large.bin"].write_bytes(b"changed afterwards")
        assert contents(store.open(artifact.digest))["large.bin"] == bytes(LARGE)

    def test_ingesting_a_missing_file_names_it(self, store: Store, tmp_path: Path) -> None:
        missing = tmp_path / "nowhere.onnx"
        assert code_of(InputError, store.ingest, {"model.onnx": missing}, MANIFEST) == "OL201"

    def test_names_that_could_leave_the_folder_are_refused(self, store: Store, tmp_path: Path) -> None:
        (file,) = write(tmp_path, {"a": b"a"}).values()
        for name in ("../a", "/a", "a/../../b", "a\\b", "c:a", "", ".", "a//b"):
            assert code_of(StoreError, store.ingest, {name: file}, MANIFEST) == "OL303", name

    def test_folder_with_a_symbolic_link_is_refused(self, store: Store, tmp_path: Path) -> None:
        with store.scratch() as folder:
            write(folder, TINY)
            MANIFEST.write(folder)
            (folder / "link").symlink_to(tmp_path)
            assert code_of(StoreError, store.publish, folder) == "OL303"

    def test_folder_without_a_description_is_refused(self, store: Store) -> None:
        with store.scratch() as folder:
            write(folder, TINY)
            assert code_of(StoreError, store.publish, folder) == "OL303"

    def test_unknown_artifact_is_absent(self, store: Store) -> None:
        for digest in ("0" * 64, "../../etc", ""):
            assert not store.has(digest)
            assert code_of(StoreError, store.open, digest) == "OL403"

    def test_record_is_found_under_its_key_and_replaced_by_a_newer_one(self, store: Store) -> None:
        store.record("measure/a", {"value": 0.1, "names": ["é", "b"], "more": {"n": 1, "none": None, "yes": True}})
        store.record("measure/b", {"value": 1})
        store.record("measure/b", {"value": 2})
        assert store.lookup("measure/a") == {
            "value": 0.1,
            "names": ["é", "b"],
            "more": {"n": 1, "none": None, "yes": True},
        }
        assert [key for key, _ in store.records("measure/")] == ["measure/a", "measure/b"]
        assert list(store.records("measure/b")) == [("measure/b", {"value": 2})]

    def test_forgotten_record_is_absent(self, store: Store) -> None:
        store.record("measure/a", {})
        store.forget("measure/a")
        store.forget("measure/never")
        assert store.lookup("measure/a") == Absent()

    def test_everything_outlives_the_process(self, store: Store) -> None:
        artifact = publish(store, TINY)
        store.record("step/a", {"output": artifact.digest})
        store.close()
        again = open_by(self.opener, store.root)
        assert again.lookup("step/a") == {"output": artifact.digest}
        assert contents(again.open(artifact.digest)) == TINY
        again.close()

    def test_one_flipped_bit_is_detected_and_publishing_again_heals(self, store: Store) -> None:
        artifact = publish(store, TINY)
        file = self.stored_file(store, artifact, "sub/weights.bin")
        data = bytearray(file.read_bytes())
        data[1000] ^= 1
        overwrite(file, bytes(data))
        self.assert_damage_is_found_and_healed(store, artifact, "OL402")

    def test_flipped_bit_under_the_old_modification_time_is_detected(self, store: Store) -> None:
        artifact = publish(store, TINY)
        file = self.stored_file(store, artifact, "model.onnx")
        times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
        overwrite(file, TINY["model.onnx"].swapcase())
        os.utime(file, ns=times)
        self.assert_damage_is_found_and_healed(store, artifact, "OL402")

    def test_truncated_file_is_detected(self, store: Store) -> None:
        artifact = publish(store, TINY)
        overwrite(self.stored_file(store, artifact, "sub/weights.bin"), b"short")
        assert not store.has(artifact.digest)
        self.assert_damage_is_found_and_healed(store, artifact, "OL402")

    def test_deleted_file_is_detected(self, store: Store) -> None:
        artifact = publish(store, TINY)
        self.stored_file(store, artifact, "model.onnx").unlink()
        assert not store.has(artifact.digest)
        self.assert_damage_is_found_and_healed(store, artifact, "OL403")

    def test_tampered_manifest_is_detected(self, store: Store) -> None:
        artifact, other = publish(store, TINY), publish(store, TINY | {"model.onnx": b"another"})
        mine, theirs = (self.stored_manifest(store, each) for each in (artifact, other))
        overwrite(mine, theirs.read_bytes())
        assert not store.has(artifact.digest)
        self.assert_damage_is_found_and_healed(store, artifact, "OL402")

    def test_full_check_reports_every_damage_and_nothing_else(self, store: Store) -> None:
        bad, lost, tampered, good = (publish(store, {"model.onnx": bytes([n]) * 50}) for n in range(4))
        assert store.verify().bad == ()
        overwrite(self.stored_file(store, bad, "model.onnx"), b"bad")
        self.stored_file(store, lost, "model.onnx").unlink()
        overwrite(self.stored_manifest(store, tampered), self.stored_manifest(store, good).read_bytes())
        store.record("step/a", {"output": "0" * 64})
        codes = [problem.code for problem in store.verify().bad]
        assert codes.count("OL403") >= 2
        assert codes.count("OL402") == 2
        assert contents(store.open(good.digest)) == {"model.onnx": bytes([3]) * 50}

    def test_damaged_tree_is_mended_when_it_is_opened(self, store: Store) -> None:
        artifact = publish(store, TINY)
        (artifact.folder / "model.onnx").unlink()
        (artifact.folder / "stray.py").write_text("import os")
        assert contents(store.open(artifact.digest)) == TINY

    def assert_damage_is_found_and_healed(self, store: Store, artifact: Artifact, code: str) -> None:
        """Asserts that `open` reports the damage, and that publishing the same content again ends it."""
        assert code_of(StoreError, store.open, artifact.digest) == code
        assert not store.has(artifact.digest)
        assert publish(store, TINY).digest == artifact.digest
        assert contents(store.open(artifact.digest)) == TINY
        assert store.verify().bad == ()

    def test_small_exported_files_are_the_users_own(self, store: Store, tmp_path: Path) -> None:
        artifact = publish(store, TINY)
        names = store.export(artifact, tmp_path / "out")
        assert names == ("model.onnx", "sub/weights.bin")
        assert {name: (tmp_path / "out" / name).read_bytes() for name in names} == TINY
        assert not (tmp_path / "out" / "artifact.json").exists()
        for name in names:
            (tmp_path / "out" / name).write_bytes(b"edited by the user")
        assert contents(store.open(artifact.digest)) == TINY

    def test_large_exported_file_is_never_writable_through_a_link(self, store: Store, tmp_path: Path) -> None:
        artifact = publish(store, TINY | {"large.bin": bytes(LARGE)})
        store.export(artifact, tmp_path)
        exported, stored = tmp_path / "large.bin", self.stored_file(store, artifact, "large.bin")
        if exported.samefile(stored):
            assert exported.stat().st_mode & 0o222 == 0
        else:
            exported.write_bytes(b"edited by the user")
        assert contents(store.open(artifact.digest))["large.bin"] == bytes(LARGE)

    def test_exporting_over_an_older_export_leaves_the_store_intact(self, store: Store, tmp_path: Path) -> None:
        first = publish(store, TINY | {"large.bin": bytes(LARGE)})
        second = publish(store, TINY | {"large.bin": b"\1" * LARGE})
        for artifact in (first, second, first):
            store.export(artifact, tmp_path)
        assert (tmp_path / "large.bin").read_bytes() == bytes(LARGE)
        assert contents(store.open(second.digest))["large.bin"] == b"\1" * LARGE
        assert store.verify().bad == ()

    def test_damaged_artifact_is_not_exported(self, store: Store, tmp_path: Path) -> None:
        artifact = publish(store, TINY)
        overwrite(self.stored_file(store, artifact, "model.onnx"), b"damaged")
        assert code_of(StoreError, store.export, artifact, tmp_path / "out") == "OL402"
        assert not (tmp_path / "out").exists()

    def test_collection_removes_the_longest_unused_first(self, store: Store) -> None:
        artifacts = [publish(store, {"model.onnx": bytes([n]) * 1000}) for n in range(4)]
        half = sum(entry.bytes for entry in store.listing()) // 2
        swept = store.gc(half, min_age=0)
        assert swept.artifacts == 2
        assert swept.kept <= half
        assert [store.has(artifact.digest) for artifact in artifacts] == [False, False, True, True]
        assert store.verify().bad == ()

    def test_collection_touches_nothing_young(self, store: Store) -> None:
        artifact = publish(store, TINY)
        assert store.gc(0).artifacts == 0
        assert store.has(artifact.digest)

    def test_collection_to_nothing_clears_the_store(self, store: Store) -> None:
        artifact = publish(store, TINY)
        store.record("step/a", {"output": artifact.digest})
        store.record("step/refused", {"reason": "no output"})
        swept = store.gc(0, min_age=0)
        assert (swept.artifacts, swept.kept) == (1, 0)
        assert store.listing() == ()
        assert store.lookup("step/a") == Absent()
        assert store.lookup("step/refused") == {"reason": "no output"}
        assert store.verify().bad == ()

    def test_content_shared_with_a_kept_artifact_stays(self, store: Store) -> None:
        shared = {"large.bin": bytes(LARGE)}
        old, new = publish(store, shared | {"old.bin": bytes(9000)}), publish(store, shared | TINY)
        swept = store.gc(LARGE + 5000, min_age=0)
        assert (swept.artifacts, swept.freed) == (1, 9000)
        assert not store.has(old.digest)
        assert contents(store.open(new.digest)) == shared | TINY

    def test_collection_and_clearing_beside_a_running_search_keep_what_it_uses(self, store: Store) -> None:
        with searching(self.opener, store.root) as digest:
            assert store.gc(0, min_age=0).artifacts == 0
            assert code_of(StoreError, store.clear) == "OL401"
            assert contents(store.open(digest)) == TINY
        assert store.gc(0, min_age=0).artifacts == 1

    def test_clearing_leaves_an_empty_store_that_works(self, store: Store) -> None:
        artifact = publish(store, TINY)
        store.record("step/a", {"output": artifact.digest})
        store.clear()
        assert store.listing() == ()
        assert store.lookup("step/a") == Absent()
        assert publish(store, TINY) == artifact

    def test_processes_that_publish_at_once_do_not_disturb_each_other(self, store: Store) -> None:
        published = race(self.opener, store.root, 4)
        assert len({digest for digests in published for digest in digests[::2]}) == 1
        digests = {digest for digests in published for digest in digests}
        assert len(digests) == 1 + 4 * OWN
        assert all(store.has(digest) for digest in digests)
        assert {key for key, _ in store.records("step/")} == {f"step/{digest}" for digest in digests}
        assert store.verify().bad == ()

    def test_process_killed_anywhere_while_publishing_leaves_garbage_never_a_lie(self, store: Store) -> None:
        self.kill_at_many_calls(store, "publish")
        artifact = publish(store, TINY)
        assert contents(store.open(artifact.digest)) == TINY
        store.gc(0, min_age=0)
        assert store.gc(0, min_age=0).leftovers == 0
        assert store.verify() == Verdict(checked=0, bad=())

    def test_process_killed_anywhere_while_collecting_leaves_garbage_never_a_lie(self, store: Store) -> None:
        self.kill_at_many_calls(store, "collect")
        assert contents(publish(store, TINY)) == TINY

    def kill_at_many_calls(self, store: Store, work: Work) -> None:
        """Kills processes at calls spread over their work and asserts after each that nothing in the store is wrong."""
        publish_and_record(store, TINY)
        calls = count_calls(self.opener, store.root, work)
        points = range(1, calls, max(1, calls // self.kills))
        killed = 0
        for point in points:
            publish_and_record(store, TINY)
            killed += is_killed(self.opener, store.root, work, point)
            assert store.verify().bad == (), f"killed at call {point} of {calls}"
        assert killed >= len(points) * 3 // 4


def contents(artifact: Artifact) -> dict[str, bytes]:
    """Returns the bytes of every file in an artifact's folder but its description."""
    paths = [path for path in artifact.folder.rglob("*") if path.is_file()]
    found = {path.relative_to(artifact.folder).as_posix(): path.read_bytes() for path in paths}
    return {name: data for name, data in found.items() if name != "artifact.json"}


def overwrite(path: Path, data: bytes) -> None:
    """Writes into a file in place, as a stray program could."""
    mode = path.stat().st_mode
    path.chmod(0o600)
    path.write_bytes(data)
    path.chmod(mode)


def code_of(error: type[OlivelikeError], call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> str:
    """Returns the code of the error with which a call is refused."""
    try:
        call(*args, **kwargs)
    except error as refusal:
        return refusal.problems[0].code
    raise AssertionError(f"{call} was expected to raise {error.__name__}")
