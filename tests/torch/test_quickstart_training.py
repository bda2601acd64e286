"""The quickstart's training script writes the files that the workflow reads, the same bytes each time."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed (extra hf)")
pytestmark = pytest.mark.torch

SCRIPT = Path(__file__).parents[2] / "workflows" / "quickstart" / "train.py"
FILES = ("fashion.onnx", "calibration.npz", "test.npz", "certification.npz")


def write_images(folder: Path, name: str, count: int) -> None:
    """Writes random images and labels in the idx format of MNIST."""
    rng = np.random.default_rng(count)
    images, labels = rng.integers(0, 256, (count, 28, 28)), rng.integers(0, 10, count)
    for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
        header = bytes([0, 0, 8, array.ndim]) + b"".join(int(size).to_bytes(4, "big") for size in array.shape)
        with gzip.open(folder / f"{name}-{kind}-ubyte.gz", "wb") as file:
            file.write(header + array.astype(np.uint8).tobytes())


def test_training_writes_the_same_files_twice(tmp_path: Path) -> None:
    write_images(tmp_path, "train", 1024)
    write_images(tmp_path, "t10k", 8000)
    written = []
    for run in ("one", "two"):
        out = tmp_path / run
        command = [sys.executable, str(SCRIPT), "--data", str(tmp_path), "--out", str(out), "--epochs", "1"]
        subprocess.run(command, check=True, capture_output=True, timeout=200)
        written.append({name: (out / name).read_bytes() for name in FILES})
    assert written[0] == written[1]
    with (
        np.load(tmp_path / "one" / "test.npz") as test,
        np.load(tmp_path / "one" / "certification.npz") as certification,
    ):
        assert test["images"].shape == certification["images"].shape == (4000, 1, 28, 28)
        assert not np.array_equal(test["images"], certification["images"])
    with np.load(tmp_path / "one" / "calibration.npz") as calibration:
        assert {name: calibration[name].shape for name in calibration.files} == {"image": (512, 1, 28, 28)}
