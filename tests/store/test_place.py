"""Ways of sharing bytes, each tried where the one before it fails; and what the store does without any."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

import pytest

from olivelike.store import blobs, export
from olivelike.store.local import LocalStore
from olivelike.store.place import reflink, remove_tree
from olivelike.testing.store_children import TINY, publish
from olivelike.testing.store_contract import contents

LARGE = {"weights.bin": bytes(3000)}


def clone(source: Path, target: Path) -> bool:
    """Stands for a clone on a file system that has none: an independent, writable copy."""
    shutil.copyfile(source, target)
    return True


def no_link(source: Path, target: Path) -> bool:
    """Stands for a file system without hard links."""
    del source, target
    return False


@pytest.mark.parametrize("links", [True, False])
def test_clone_is_preferred_and_writable(
    local: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    monkeypatch.setattr(export, "reflink", clone)
    if not links:
        monkeypatch.setattr(blobs, "hard_link", no_link)
    artifact = publish(local, LARGE)
    local.export(artifact, tmp_path / "out", link_above=1000)
    exported = tmp_path / "out" / "weights.bin"
    assert exported.stat().st_mode & stat.S_IWUSR
    exported.write_bytes(b"edited by the user")
    assert contents(local.open(artifact.digest)) == LARGE


def test_hard_link_is_read_only_and_saves_the_copy(
    local: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "reflink", no_link)
    artifact = publish(local, LARGE | TINY)
    local.export(artifact, tmp_path / "out", link_above=3000)
    exported = tmp_path / "out" / "weights.bin"
    assert exported.samefile(artifact.folder / "weights.bin")
    assert exported.stat().st_mode & 0o222 == 0
    assert not (tmp_path / "out" / "model.onnx").samefile(artifact.folder / "model.onnx")


def test_without_links_everything_is_copied(local: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "hard_link", no_link)
    monkeypatch.setattr(export, "reflink", no_link)
    artifact = publish(local, LARGE)
    tree = artifact.folder / "weights.bin"
    assert tree.stat().st_mode & 0o222 == 0
    assert tree.stat().st_nlink == 1
    local.export(artifact, tmp_path / "out", link_above=1000)
    (tmp_path / "out" / "weights.bin").write_bytes(b"edited by the user")
    tree.chmod(0o600)
    tree.write_bytes(b"\1" * 3000)
    assert contents(local.open(artifact.digest)) == LARGE


def test_links_made_and_removed_do_not_make_the_store_read_the_content_again(
    local: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "reflink", no_link)
    artifact = publish(local, LARGE)
    monkeypatch.setattr(blobs, "digest_file", lambda path: pytest.fail(f"{path} was read again"))
    for name in ("first", "second", "first"):
        local.export(artifact, tmp_path / name, link_above=1000)
        local.open(artifact.digest)
    remove_tree(tmp_path / "first")
    local.open(artifact.digest)
    remove_tree(tmp_path / "second")
    local.export(artifact, tmp_path / "third", link_above=1000)
    assert local.open(artifact.digest) == artifact


def test_write_through_an_exported_link_is_noticed(
    local: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "reflink", no_link)
    artifact = publish(local, LARGE)
    local.export(artifact, tmp_path / "out", link_above=1000)
    exported = tmp_path / "out" / "weights.bin"
    exported.chmod(0o600)
    exported.write_bytes(b"\1" * 3000)
    assert [problem.code for problem in local.verify().bad] == ["OL402"]
    assert publish(local, LARGE) == artifact
    assert contents(local.open(artifact.digest)) == LARGE


def test_file_on_another_file_system_is_copied_in(local: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(staged: Path, target: Path, mode: int) -> None:
        if staged.parent.name != "staging":
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        place(staged, target, mode)

    place = blobs.publish_file
    monkeypatch.setattr(blobs, "publish_file", refuse)
    assert contents(publish(local, TINY)) == TINY


def test_clone_that_the_file_system_refuses_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"content")
    cloned = reflink(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").exists() == cloned
    assert not cloned or (tmp_path / "target").read_bytes() == b"content"


def test_removing_a_folder_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("keep me")
    (tmp_path / "gone").mkdir()
    try:
        (tmp_path / "gone" / "link").symlink_to(tmp_path / "precious", target_is_directory=True)
    except OSError as error:
        pytest.skip(f"no symbolic links here: {error}")
    remove_tree(tmp_path / "gone")
    assert not (tmp_path / "gone").exists()
    assert (tmp_path / "precious" / "file").exists()


def test_link_planted_in_a_tree_is_removed_not_followed(local: LocalStore, tmp_path: Path) -> None:
    artifact = publish(local, TINY)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "weights.bin").write_bytes(TINY["sub/weights.bin"])
    shutil.rmtree(artifact.folder / "sub")
    try:
        (artifact.folder / "sub").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    except OSError as error:
        pytest.skip(f"no symbolic links here: {error}")
    assert contents(local.open(artifact.digest)) == TINY
    assert not (artifact.folder / "sub").is_symlink()
    assert (tmp_path / "elsewhere" / "weights.bin").exists()
