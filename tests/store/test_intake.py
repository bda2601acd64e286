"""Files come into the store once, whole, and never while they change."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from olivelike.contracts.artifact import Manifest
from olivelike.errors import InputError, StoreError
from olivelike.store import blobs, stamps
from olivelike.store.local import LocalStore
from olivelike.testing.store_children import MANIFEST, TINY, publish, write
from tests.store.conftest import Hand

Reader = Callable[..., object]


@pytest.fixture
def files(tmp_path: Path, clock: Hand) -> dict[str, Path]:
    """Two files that were written a while ago, by the store's clock."""
    written = write(tmp_path / "mine", TINY)
    clock.at += 60
    return written


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file whose content is read for a digest or a copy."""
    seen: list[Path] = []

    def noted(read: Reader) -> Reader:
        def note(path: Path, *rest: Path) -> object:
            seen.append(path)
            return read(path, *rest)

        return note

    for module in (blobs, stamps):
        for name in ("digest_file", "copy_hashed"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, noted(getattr(module, name)))
    return seen


def test_unchanged_files_are_not_read_again(local: LocalStore, files: dict[str, Path], reads: list[Path]) -> None:
    first = local.ingest(files, MANIFEST)
    reads.clear()
    assert local.ingest(files, MANIFEST) == first
    assert local.digest_of(files["model.onnx"])
    assert [path.name for path in reads] == ["artifact.json"]


@pytest.mark.parametrize("change", ["content", "replaced", "time"])
def test_changed_files_are_read_again(
    local: LocalStore, files: dict[str, Path], reads: list[Path], change: str
) -> None:
    first = local.ingest(files, MANIFEST)
    reads.clear()
    model = files["model.onnx"]
    stat = model.stat()
    match change:
        case "content":  # same size, and the old modification time
            model.write_bytes(TINY["model.onnx"].swapcase())
            os.utime(model, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        case "replaced":
            (model.parent / "new").write_bytes(TINY["model.onnx"].swapcase())
            (model.parent / "new").replace(model)
        case _:
            os.utime(model, (1, 1))
    again = local.ingest(files, MANIFEST)
    assert model in reads
    assert (again == first) == (change == "time")


def test_file_written_this_instant_is_not_remembered(local: LocalStore, tmp_path: Path, clock: Hand) -> None:
    file = tmp_path / "young.bin"
    file.write_bytes(b"old")
    clock.at = file.stat().st_mtime
    before = local.digest_of(file)
    file.write_bytes(b"new")
    os.utime(file, (clock.at, clock.at))
    assert local.digest_of(file) != before
    assert list(local.records("file/")) == []


def test_ingest_takes_a_file_in_again_when_its_blob_is_gone_or_damaged(
    local: LocalStore, files: dict[str, Path]
) -> None:
    artifact = local.ingest(files, MANIFEST)
    for path in (local.root / "blobs").rglob("*"):
        if path.is_file() and path.stat().st_size == len(TINY["model.onnx"]):
            path.unlink()
        elif path.is_file() and path.stat().st_size == len(TINY["sub/weights.bin"]):
            path.chmod(0o600)
            path.write_bytes(b"damaged")
    assert local.ingest(files, MANIFEST) == artifact
    assert (artifact.folder / "sub" / "weights.bin").read_bytes() == TINY["sub/weights.bin"]
    assert local.verify().bad == ()


@pytest.mark.parametrize("way", ["ingest", "digest_of"])
def test_file_that_changes_while_it_is_read_is_refused(
    local: LocalStore, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    model = files["model.onnx"]

    def disturbed(read: Reader) -> Reader:
        def write_meanwhile(path: Path, *rest: Path) -> object:
            result = read(path, *rest)
            if path == model:
                path.write_bytes(b"written while it was read")
            return result

        return write_meanwhile

    monkeypatch.setattr(blobs, "copy_hashed", disturbed(blobs.copy_hashed))
    monkeypatch.setattr(blobs, "reflink", lambda source, target: False)
    monkeypatch.setattr(stamps, "digest_file", disturbed(stamps.digest_file))
    with pytest.raises(InputError, match=r"OL201 .*model\.onnx: the file changed while it was read"):
        _ = local.ingest(files, MANIFEST) if way == "ingest" else local.digest_of(model)
    assert local.listing() == ()


def test_pass_that_still_writes_while_it_publishes_is_refused(
    local: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = blobs.digest_file

    def write_meanwhile(path: Path) -> str:
        digest = read(path)
        if path.name == "model.onnx":
            path.write_bytes(b"written while it was published")
        return digest

    monkeypatch.setattr(blobs, "digest_file", write_meanwhile)
    with pytest.raises(StoreError, match="changed while it was published"):
        publish(local, TINY)
    assert local.listing() == ()


@pytest.mark.skipif(sys.platform == "win32", reason="links to files need a privilege on Windows")
def test_links_to_files_are_followed_when_they_are_ingested(local: LocalStore, files: dict[str, Path]) -> None:
    link = files["model.onnx"].parent / "snapshot.onnx"
    link.symlink_to(files["model.onnx"])
    artifact = local.ingest({"model.onnx": link}, MANIFEST)
    assert not (artifact.folder / "model.onnx").is_symlink()
    assert artifact.model.read_bytes() == TINY["model.onnx"]


def test_folder_is_no_file(local: LocalStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="OL201"):
        local.digest_of(tmp_path)
    with pytest.raises(InputError, match="OL201"):
        local.ingest({"model.onnx": tmp_path}, MANIFEST)


def test_file_with_another_name_elsewhere_is_copied_not_moved(local: LocalStore, tmp_path: Path) -> None:
    outside = tmp_path / "still open for writing.bin"
    outside.write_bytes(b"before")
    with local.scratch() as folder:
        os.link(outside, folder / "model.onnx")
        MANIFEST.write(folder)
        artifact = local.publish(folder)
    outside.write_bytes(b"after.")
    assert local.open(artifact.digest).model.read_bytes() == b"before"
    assert outside.stat().st_mode & 0o200


def test_published_folder_is_consumed(local: LocalStore) -> None:
    with local.scratch() as folder:
        write(folder, TINY)
        MANIFEST.write(folder)
        local.publish(folder)
        assert [path for path in folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["a:b", "a\\b", "new\nline"])
@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot make such names")
def test_file_with_a_name_that_some_system_cannot_hold_is_refused(local: LocalStore, name: str) -> None:
    with pytest.raises(StoreError, match="OL303"):
        publish(local, {name: b""})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": '])
def test_unreadable_description_is_refused(local: LocalStore, text: str) -> None:
    with local.scratch() as folder:
        (folder / "artifact.json").write_text(text)
        with pytest.raises(StoreError, match=r"no readable artifact\.json"):
            local.publish(folder)


def test_description_alone_is_an_artifact(local: LocalStore) -> None:
    assert publish(local, {}, Manifest("calibration", notes={"ranges": {"x": [0.0, 1.0]}})).kind == "calibration"


def test_missing_folder_is_refused(local: LocalStore, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such folder"):
        local.publish(tmp_path / "nowhere")
