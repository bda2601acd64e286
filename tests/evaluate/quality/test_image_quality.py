from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from skimage import metrics as sk

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import ScriptCall
from olivelike.contracts.outcome import Measurement, Paired, Undefined, Value
from olivelike.errors import InputError, MeasureError
from olivelike.evaluate.quality.image_quality import ImageQuality, ImageQualityConfig
from olivelike.testing.measure_context import MemoryContext
from olivelike.testing.metric_contract import MetricContract
from tests.evaluate.tiny_models import write

ALL = ("psnr", "ssim", "mse")
generator = np.random.default_rng(2)
TARGETS = generator.random((12, 3, 8, 9)).astype(np.float32)
SPOILT = (TARGETS + generator.normal(0, 0.1, TARGETS.shape)).astype(np.float32)


def scaler(folder: Path, scale: float = 1.0) -> Artifact:
    """Writes `made = image * scale`, `image` float32 `[n, 3, 8, 9]`."""
    nodes = [helper.make_node("Mul", ["image", "scale"], ["made"])]
    shape = ("n", "c", "h", "w")
    weights = {"scale": np.array(scale, np.float32)}
    return write(folder, nodes, {"image": shape}, {"made": shape}, weights, TensorProto.FLOAT)


class TestImageQuality(MetricContract):
    metric = ImageQuality

    def artifact(self, folder: Path) -> Artifact:
        return scaler(folder)

    def context(self, folder: Path) -> MemoryContext:
        return context(folder)

    def configs(self) -> Sequence[ImageQualityConfig]:
        return (ImageQualityConfig(data_range=1.0), ImageQualityConfig(data_range=1.0, values=ALL, batch=5))


def context(folder: Path, images: object = SPOILT, targets: object = TARGETS, **more: Any) -> MemoryContext:
    return MemoryContext(folder, {"image": np.asarray(images)}, np.asarray(targets), **more)


def measure(given: MemoryContext, scale: float = 1.0, base: float = 1.0, **config: Any) -> Mapping[str, Value]:
    candidate, reference = (scaler(given.scratch / str(each), each) for each in (scale, base))
    settings = {"values": ALL, "data_range": 1.0, **config}
    return ImageQuality().measure(candidate, reference, ImageQualityConfig(**settings), given)


def defined(value: Value) -> Measurement:
    assert isinstance(value, Measurement), value
    return value


def test_values_are_means_of_scikit_images(tmp_path: Path) -> None:
    got = measure(context(tmp_path))
    pairs = list(zip(TARGETS.astype(np.float64), SPOILT.astype(np.float64), strict=True))
    known = {
        "psnr": np.mean([sk.peak_signal_noise_ratio(*pair, data_range=1.0) for pair in pairs]),
        "ssim": np.mean([sk.structural_similarity(*pair, data_range=1.0, channel_axis=0) for pair in pairs]),
        "mse": np.mean([sk.mean_squared_error(*pair) for pair in pairs]),
    }
    for name, value in known.items():
        measured = defined(got[name])
        assert measured.value == pytest.approx(value, rel=1e-9), name
        assert measured.low < measured.value < measured.high
        assert measured.n == 12


def test_channels_may_be_last_or_missing(tmp_path: Path) -> None:
    known = defined(measure(context(tmp_path))["ssim"]).value
    last = context(tmp_path, SPOILT.transpose(0, 2, 3, 1), TARGETS.transpose(0, 2, 3, 1))
    assert defined(measure(last, channels="last")["ssim"]).value == pytest.approx(known)
    given = context(tmp_path, SPOILT, TARGETS[:, 0], functions={"f": lambda outputs, labels: outputs["made"][:, 0]})
    call = ScriptCall(script="user.py", call="f")
    gray = defined(measure(given, channels="none", postprocess=call)["ssim"]).value
    pairs = zip(TARGETS[:, 0].astype(np.float64), SPOILT[:, 0].astype(np.float64), strict=True)
    assert gray == pytest.approx(np.mean([sk.structural_similarity(*pair, data_range=1.0) for pair in pairs]))


def test_whole_numbers_say_their_range_and_floats_do_not(tmp_path: Path) -> None:
    bytes_ = context(tmp_path, np.round(255 * SPOILT), np.round(255 * TARGETS).astype(np.uint8))
    by_type, said = (defined(measure(bytes_, data_range=r)["psnr"]) for r in ("dtype", 255.0))
    assert by_type == said
    with pytest.raises(InputError, match=r"OL207 data_range: .* float32, which does not say what black and white are"):
        measure(context(tmp_path), data_range="dtype")


def test_difference_is_paired(tmp_path: Path) -> None:
    """Every image is darkened, so each loses: the interval of the difference is far from zero."""
    got = measure(context(tmp_path), scale=0.7, base=1.0)
    psnr, mse = (defined(got[name]).versus for name in ("psnr", "mse"))
    assert isinstance(psnr, Paired)
    assert isinstance(mse, Paired)
    assert psnr.interval.high < 0 < mse.interval.low


def test_images_equal_to_their_targets_have_no_mean_psnr(tmp_path: Path) -> None:
    mixed = SPOILT.copy()
    mixed[:3] = TARGETS[:3]
    got = measure(context(tmp_path, mixed))
    assert got["psnr"] == Undefined(
        "3 of 12 images of the model are equal to their targets, and the PSNR of equal images is infinite; "
        "`mse` has a value"
    )
    assert defined(got["ssim"]).value > defined(measure(context(tmp_path))["ssim"]).value
    assert isinstance(got["mse"], Measurement)


@pytest.mark.parametrize("samples", [1, 2])
def test_too_few_images_give_a_reason_and_no_number(tmp_path: Path, samples: int) -> None:
    for value in measure(context(tmp_path, SPOILT[:samples], TARGETS[:samples])).values():
        assert isinstance(value, Undefined)
        assert value.reason.startswith(f"{samples} samples are too few")


def test_images_too_small_for_the_window_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="OL206 values: images of 6 x 9 are too small for ssim"):
        measure(context(tmp_path, SPOILT[:, :, :6], TARGETS[:, :, :6]))
    assert measure(context(tmp_path, SPOILT[:, :, :6], TARGETS[:, :, :6]), values=("psnr",))


def test_labels_that_are_no_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"OL207: the labels are of type int64 and shape \[8\], not 8 target images"):
        measure(context(tmp_path, targets=np.arange(12)))
    with pytest.raises(InputError, match="OL208: target images hold NaN"):
        measure(context(tmp_path, targets=np.full_like(TARGETS, np.nan)))


@pytest.mark.parametrize(
    ("returned", "error", "says"),
    [
        (None, InputError, "OL209: what f returned is of type object"),
        (TARGETS[:, :1], InputError, "OL209: what f returned .* where the targets have"),
        (np.full_like(TARGETS, np.nan), MeasureError, "OL504: what f returned is not finite"),
    ],
)
def test_what_a_user_function_returns_of_no_use_is_named(
    tmp_path: Path, returned: object, error: type[Exception], says: str
) -> None:
    given = context(tmp_path, functions={"f": lambda outputs, labels: returned})
    with pytest.raises(error, match=says):
        measure(given, postprocess=ScriptCall(script="user.py", call="f"), batch=12)
