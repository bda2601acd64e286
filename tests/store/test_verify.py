"""The full check, and the errors of opening."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from olivelike.errors import StoreError
from olivelike.store.local import LocalStore
from olivelike.testing.store_children import MANIFEST, TINY, publish, write


def test_record_of_an_artifact_that_is_not_there_is_reported(local: LocalStore) -> None:
    local.record("step/lost", {"output": "0" * 64})
    (problem,) = local.verify().bad
    assert (problem.code, problem.path) == ("OL403", "step/lost")


def test_verdict_counts_blobs_manifests_and_step_records(local: LocalStore) -> None:
    digest = publish(local, TINY).digest
    local.record("step/a", {"output": digest})
    local.record("step/refused", {"refused": "OL301"})
    assert local.verify().checked == 3 + 1 + 1


def test_damage_that_left_no_trace_in_the_metadata_is_found_by_verify_and_then_by_open(local: LocalStore) -> None:
    artifact = publish(local, TINY)
    (blob,) = [
        path for path in (local.root / "blobs").rglob("*") if path.is_file() and b"model" in path.read_bytes()[:30]
    ]
    index = local.root / "index"
    blob.chmod(0o600)
    blob.write_bytes(TINY["model.onnx"].swapcase())
    stat = blob.stat()  # a disk that rots changes no metadata: let the store believe that it has seen this stamp
    row = {"inode": stat.st_ino, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "ctime_ns": stat.st_ctime_ns}
    local.record(f"blob/{blob.name}", {**row, "links": stat.st_nlink})
    assert local.open(artifact.digest) == artifact
    assert [problem.code for problem in local.verify().bad] == ["OL402"]
    with pytest.raises(StoreError, match=r"OL402 .*model\.onnx .* set aside"):
        local.open(artifact.digest)
    assert [path.name[:64] for path in (local.root / "quarantine").iterdir()] == [blob.name]
    assert index.exists()


def test_wrong_size_in_a_manifest_is_found(local: LocalStore) -> None:
    artifact = publish(local, TINY)
    manifest = local.root / "manifests" / artifact.digest[:2] / f"{artifact.digest}.json"
    manifest.write_bytes(manifest.read_bytes().replace(b",2048]", b",2049]"))
    assert not local.has(artifact.digest)
    assert [problem.code for problem in local.verify().bad] == ["OL403"]
    with pytest.raises(StoreError, match="gives a wrong size"):
        local.open(artifact.digest)


def test_full_disk_is_an_error_of_the_store(local: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    with local.scratch() as folder:
        write(folder, TINY)
        MANIFEST.write(folder)
        monkeypatch.setattr(os, "fsync", refuse)
        with pytest.raises(StoreError, match=r"OL401 .*No space left"):
            local.publish(folder)
    monkeypatch.undo()
    assert local.verify().bad == ()
    assert list((local.root / "staging").iterdir()) == []


def test_importing_the_store_loads_neither_numpy_nor_onnx_nor_psutil(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from olivelike.store import open_store;"
        f"open_store(Path({str(tmp_path / 'store')!r})).lookup('step/a');"
        "print({'numpy', 'onnx', 'psutil', 'pydantic'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
