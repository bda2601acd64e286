"""The transform `picture`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from olivelike.contracts.data import Dataset, DataSpec
from olivelike.contracts.metric import TensorInfo
from olivelike.digest import Json
from olivelike.sources.dataset import open_dataset
from olivelike.sources.images import Images
from olivelike.sources.preparation import Named
from olivelike.sources.transforms.picture import Picture
from tests.sources.refusals import refusal

PIXELS = TensorInfo("pixel_values", "float32", ("n", 3, "h", "w"))


def paint(path: Path, height: int, width: int) -> Image.Image:
    """Writes a picture whose every pixel differs from its neighbours, and returns it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    picture = Image.fromarray(pixels)
    picture.save(path)
    return picture


def opened(folder: Path, options: dict[str, Json] | None = None, default: bool = False, **reader: Json) -> Dataset:
    transform = Picture()
    config = transform.config.model_validate(options or {})
    files = {path.name: path for path in folder.glob("*.json")}
    spec = DataSpec("t", "images", {"images": "pictures", **reader})
    return open_dataset(spec, Images(), folder, (PIXELS,), prepare=Named(transform, config, files, default))


def pixels(data: Dataset) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    return next(iter(data.batches(8))).feeds["pixel_values"]


def test_the_shorter_side_is_resized_the_centre_cut_out_and_channels_normalized(tmp_path: Path) -> None:
    picture = paint(tmp_path / "pictures" / "a.png", 10, 20)
    mean, std = (0.5, 0.4, 0.3), (0.1, 0.2, 0.3)
    said = {
        "do_resize": True,
        "size": {"shortest_edge": 8},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": 6, "width": 4},
        "do_normalize": True,
        "image_mean": mean,
        "image_std": std,
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    resized = picture.resize((16, 8), Image.Resampling.BICUBIC)
    cut = np.asarray(resized, dtype=np.float64)[1:7, 6:10] / 255
    expected = ((cut - mean) / std).transpose(2, 0, 1)
    assert np.allclose(pixels(opened(tmp_path)), expected[None], atol=1e-5)  # float32 against float64


def test_a_square_needs_no_crop_so_that_pictures_of_any_size_fit_together(tmp_path: Path) -> None:
    paint(tmp_path / "pictures" / "a.png", 10, 20)
    paint(tmp_path / "pictures" / "b.png", 30, 7)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": 5}))
    made = pixels(opened(tmp_path))
    assert made.shape == (2, 3, 5, 5)
    assert 0 <= made.min() < made.max() <= 1


def test_options_stand_above_the_file(tmp_path: Path) -> None:
    paint(tmp_path / "pictures" / "a.png", 10, 20)
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"size": 5, "image_mean": [0.5] * 3, "image_std": [1] * 3})
    )
    made = pixels(opened(tmp_path, {"size": [4, 4], "scale": 1.0, "mean": [100.0]}))
    assert made.shape == (1, 3, 4, 4)
    assert made.max() > 1


def test_pictures_that_do_not_come_out_alike_or_are_too_small_are_refused(tmp_path: Path) -> None:
    paint(tmp_path / "pictures" / "a.png", 10, 20)
    paint(tmp_path / "pictures" / "b.png", 10, 30)
    assert refusal(lambda: pixels(opened(tmp_path, {"size": 5}))).code == "OL206"
    problem = refusal(lambda: opened(tmp_path, {"crop": [12, 12]}))
    assert problem.claim == "is 10 x 20 pixels, and 12 x 12 are cut out of it"


@pytest.mark.parametrize(
    ("said", "claim"),
    [
        ({"crop_pct": 0.875}, "asks for crop_pct, which `picture` does not do"),
        ({"size": {"longest_edge": 5}}, "gives a size as {'longest_edge': 5}"),
        ({"image_mean": "half"}, "gives mean or deviation as 'half'"),
        ({"image_mean": [0.5] * 4, "image_std": [1] * 4}, "`mean` has 4 numbers, and a picture 3 channels"),
    ],
)
def test_what_is_not_done_here_is_refused(tmp_path: Path, said: dict[str, Json], claim: str) -> None:
    paint(tmp_path / "pictures" / "a.png", 10, 20)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    problem = refusal(lambda: opened(tmp_path))
    assert (problem.code, claim in problem.claim) == ("OL206", True)


def test_nothing_said_is_refused_and_a_reader_that_was_told_is_left_alone_by_default(tmp_path: Path) -> None:
    paint(tmp_path / "pictures" / "a.png", 10, 20)
    problem = refusal(lambda: opened(tmp_path))
    assert (problem.code, "`prepare: none`" in problem.hint) == ("OL205", True)
    assert pixels(opened(tmp_path, default=True, size=[4, 4])).max() > 1
    problem = refusal(lambda: opened(tmp_path, {"size": 5}, size=[4, 4]))
    assert (problem.code, problem.hint) == ("OL206", "keep one of the two")


def test_a_damaged_file_beside_the_model_is_refused(tmp_path: Path) -> None:
    paint(tmp_path / "pictures" / "a.png", 10, 20)
    (tmp_path / "preprocessor_config.json").write_text("[1]")
    assert refusal(lambda: opened(tmp_path)).code == "OL205"
