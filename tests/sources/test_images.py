"""The data reader `images`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from olivelike.digest import Json
from olivelike.sources.images import Images, Pictures
from olivelike.testing.source_contract import ReaderContract
from tests.sources.reading import read
from tests.sources.refusals import refusal

image = pytest.importorskip("PIL.Image", reason="needs Pillow (the extra `images`)")


def paint(path: Path, colour: tuple[int, int, int] = (10, 20, 30), size: tuple[int, int] = (4, 6)) -> None:
    """Writes a picture of one colour; `size` is height and width."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.new("RGB", (size[1], size[0]), colour).save(path)


class TestImages(ReaderContract):
    def reader(self) -> Images:
        return Images()

    def example(self, folder: Path) -> dict[str, Json]:
        paint(folder / "data" / "pictures" / "cat" / "1.png")
        paint(folder / "data" / "pictures" / "dog" / "1.png", (1, 2, 3))
        return {"images": "data/pictures"}


def test_pictures_are_channels_first_bytes_by_default(tmp_path: Path) -> None:
    paint(tmp_path / "pictures" / "a.png")
    columns = read(Images(), tmp_path, {"images": "pictures"})
    assert list(columns) == ["image"]
    assert columns["image"].shape == (1, 3, 4, 6)
    assert columns["image"].dtype == np.uint8
    assert columns["image"][0, :, 0, 0].tolist() == [10, 20, 30]


def test_layout_mode_size_and_scale(tmp_path: Path) -> None:
    paint(tmp_path / "pictures" / "a.png", (255, 255, 255))
    config: dict[str, Json] = {"images": "pictures", "layout": "nhwc", "mode": "L", "size": [8, 5], "scale": 1 / 255}
    pixels = read(Images(), tmp_path, config)["image"]
    assert pixels.shape == (1, 8, 5, 1)
    assert pixels.dtype == np.float32
    assert np.allclose(pixels, 1.0, atol=1e-6)  # one rounding of 255 * (1 / 255) in float32


def test_labels_are_the_positions_of_the_sorted_class_folders(tmp_path: Path) -> None:
    for name in ("dog/1.png", "cat/b.png", "cat/a.png", "cat/deep/c.png"):
        paint(tmp_path / "pictures" / name)
    (tmp_path / "pictures" / "dog" / "notes.txt").write_text("no picture")
    assert read(Images(), tmp_path, {"images": "pictures"})["label"].tolist() == [0, 0, 0, 1]


def test_pictures_are_read_only_when_asked_for(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        paint(tmp_path / "pictures" / name)
    config = Images().config.model_validate({"images": "pictures"})
    column = Images().read(config, {"pictures": tmp_path / "pictures"}, dict).arrays["image"]
    (tmp_path / "pictures" / "b.png").write_bytes(b"damaged since")
    assert isinstance(column, Pictures)
    assert column[np.array([0])].shape == (1, 3, 4, 6)
    assert column[np.array([], dtype=np.intp)].shape == (0, 3, 4, 6)
    assert refusal(lambda: column[np.array([1])]).code == "OL205"


def test_pictures_of_different_size_ask_for_one(tmp_path: Path) -> None:
    paint(tmp_path / "pictures" / "a.png")
    paint(tmp_path / "pictures" / "b.png", size=(5, 5))
    problem = refusal(lambda: read(Images(), tmp_path, {"images": "pictures"}))
    assert problem.code == "OL206"
    assert problem.place.endswith("b.png")
    assert "size" in problem.hint


def test_a_picture_beside_class_folders_is_refused(tmp_path: Path) -> None:
    paint(tmp_path / "pictures" / "cat" / "a.png")
    paint(tmp_path / "pictures" / "b.png")
    problem = refusal(lambda: read(Images(), tmp_path, {"images": "pictures"}))
    assert (problem.code, problem.claim) == ("OL207", "b.png lies in no class folder, others do")


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    problem = refusal(lambda: read(Images(), tmp_path, {"images": "pictures"}))
    assert problem.code == "OL205"
    assert "no pictures" in problem.claim


def test_a_truncated_picture_is_refused_by_name(tmp_path: Path) -> None:
    paint(tmp_path / "pictures" / "a.png", size=(50, 50))
    content = (tmp_path / "pictures" / "a.png").read_bytes()
    (tmp_path / "pictures" / "a.png").write_bytes(content[: len(content) // 2])
    problem = refusal(lambda: read(Images(), tmp_path, {"images": "pictures"}))
    assert problem.code == "OL205"
    assert problem.place.endswith("a.png")


def test_without_pillow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    problem = refusal(lambda: read(Images(), tmp_path, {"images": "pictures"}))
    assert problem.code == "OL211"
    assert problem.hint == 'pip install "olivelike[images]"'
