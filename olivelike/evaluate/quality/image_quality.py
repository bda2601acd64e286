"""The metric `image_quality`: how close an image that the model makes is to the image it should be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import Field, PositiveFloat, PositiveInt

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import Batch, ScriptCall
from olivelike.contracts.extras import need
from olivelike.contracts.metric import Cost, MeasureContext, Metric, MetricConfig, Session, ValueSpec
from olivelike.contracts.outcome import Undefined, Value
from olivelike.errors import InputError, fail
from olivelike.evaluate.quality.answers import answering, require_labels, whose
from olivelike.evaluate.quality.side_by_side import Observed, Observer, Rows, observe
from olivelike.evaluate.statistics.bootstrap import Resampling, reweighted
from olivelike.evaluate.statistics.fit import mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array
    from olivelike.contracts.outcome import Better

    Floats: TypeAlias = NDArray[np.float64]

Name: TypeAlias = Literal["psnr", "ssim", "mse"]

UNITS: dict[str, tuple[str, Better]] = {"psnr": ("dB", "higher"), "ssim": ("1", "higher"), "mse": ("1", "lower")}
WINDOW = 7
"""The side of SSIM's window, as in the reference implementation of its authors without Gaussian weights."""


class ImageQualityConfig(MetricConfig):
    """Which values to give, and what the images are."""

    values: tuple[Name, ...] = Field(default=("psnr", "ssim"), min_length=1)
    """Which values to give, the main one first."""
    data_range: PositiveFloat | Literal["dtype"] = "dtype"
    """The distance between black and white: 1 for images from 0 to 1, 255 for bytes. `dtype`: that of the targets' type where
    it is of whole numbers; images in floating point need it said."""
    channels: Literal["first", "last", "none"] = "first"
    """Where an image `[channels, height, width]` or `[height, width, channels]` has its channels; `none` for `[height,
    width]`."""
    batch: PositiveInt = 8
    """Samples in one run; a model with a fixed batch size gets its own."""
    output: str = ""
    """The output that holds the images; the first one by default."""
    postprocess: ScriptCall | Literal["none"] = "none"
    """User's Python, called for each batch as `f(outputs, labels)`: `outputs` maps every output's name to its array, `labels`
    are the target images. It returns images of the targets' shape and range (clipped and rounded, if that is how they are
    used)."""


class ImageQuality(Metric[ImageQualityConfig]):
    """PSNR and SSIM of the images that a model makes against target images.

    What it does:
        Scores each image of candidate and baseline against its target, the sample's label: `psnr` in dB, `ssim` (Wang et al.
        2004; the window of 7 x 7 and the constants of scikit-image, channels averaged), and `mse`, the mean squared
        difference. Values are means over images, each with a paired bootstrap interval of itself and of the difference to
        the baseline.

    When to use it:
        For super-resolution, denoising, compression and other models from image to image. Where there are no targets,
        `parity` compares with the baseline's own images.

    Limits:
        An image equal to its target has an infinite PSNR, so the mean is undefined and the report says how many there are;
        `mse` still has a value. SSIM needs images of at least 7 x 7. Nothing is cropped, and color spaces are not
        converted: that is for `postprocess`. Whether images look right to people is not what these values tell. At least
        ten images are needed. Needs `pip install "olivelike[metrics]"` for `ssim`.

    Example:
        ```yaml
        metrics:
          sharp: {type: image_quality, data: test, data_range: 1.0}
        constraints:
          - {metric: sharp.psnr, max_drop: 0.1}
        ```
    """

    name = "image_quality"
    config = ImageQualityConfig
    cost = Cost.DATASET
    compares = True
    data = "required"
    needs_labels = True
    tools = ("scikit-image",)

    def values(self, config: ImageQualityConfig) -> tuple[ValueSpec, ...]:
        """Returns the values asked for: `psnr` in dB and `ssim`, higher is better; `mse`, lower is better."""
        return tuple(ValueSpec(name, *UNITS[name]) for name in dict.fromkeys(config.values))

    def measure(
        self, candidate: Artifact, reference: Artifact, config: ImageQualityConfig, context: MeasureContext
    ) -> Mapping[str, Value]:
        """Makes all images with the candidate, and with the reference unless they are the same artifact.

        Raises:
            InputError: OL206 (no samples, no such output, images too small), OL207 or OL208 (target images), OL209 (answers
                of another shape), OL211 (scikit-image is missing).
            MeasureError: OL504, an output is not finite, or the model cannot be run.
        """
        if "ssim" in config.values:
            need("metrics", "skimage", what="the value `ssim`")
        observed = observe(candidate, reference, partial(_observer, config, context), context, config.batch)
        return {spec.name: _value(spec, observed, context.seed) for spec in self.values(config)}


def _value(spec: ValueSpec, observed: Observed, seed: int) -> Value:
    import numpy as np

    columns = [rows[spec.name].astype(np.float64) for rows in (observed.own, observed.other) if rows]
    for whose_, column in zip(("the model", "the baseline"), columns, strict=False):
        same = int(np.isinf(column).sum())
        if same:
            return Undefined(
                f"{same} of {observed.count} images of {whose_} are equal to their targets, and the PSNR of equal images is "
                "infinite; `mse` has a value"
            )
    own, other = mean(columns[0]), mean(columns[1]) if len(columns) > 1 else None
    return reweighted(
        own, other, Resampling(observed.count, seed, level=observed.level), better=spec.better, unit=spec.unit
    )


def _observer(config: ImageQualityConfig, context: MeasureContext, session: Session) -> Observer:
    require_labels(session, context)
    answer = answering(config.output, config.postprocess, session, context)
    of = whose(config.output, config.postprocess, session)

    def rows(batch: Batch) -> Rows:
        made, targets = answer(batch, batch.labels), batch.labels
        _check(made, targets, batch.size, config, of)
        scale = _data_range(targets, config)
        return _scores(_floats(made), _floats(targets), scale, config)

    return rows


def _scores(made: Floats, targets: Floats, scale: float, config: ImageQualityConfig) -> Rows:
    """Scores a batch of images.

    Args:
        made: `[samples, ...]`, as `channels` says.
        targets: of the same shape.
        scale: the distance between black and white.
        config: which values, and where channels are.
    """
    import numpy as np

    errors = ((made - targets) ** 2).reshape(len(made), -1).mean(axis=1)
    with np.errstate(divide="ignore"):
        scores = {"mse": errors, "psnr": 10 * np.log10(scale**2 / errors)}
    if "ssim" in config.values:
        scores["ssim"] = np.array([_ssim(*pair, scale, config) for pair in zip(made, targets, strict=True)])
    return {name: scores[name] for name in config.values}


def _ssim(made: Floats, target: Floats, scale: float, config: ImageQualityConfig) -> float:
    from skimage.metrics import structural_similarity

    similarity: Callable[..., float] = structural_similarity
    axis = {"first": 0, "last": -1, "none": None}[config.channels]
    return float(similarity(target, made, win_size=WINDOW, data_range=scale, channel_axis=axis))


def _check(made: Array, targets: Array, size: int, config: ImageQualityConfig, of: str) -> None:
    import numpy as np

    dimensions = 3 if config.channels == "none" else 4
    if targets.dtype.kind not in "iufb" or targets.ndim != dimensions or len(targets) != size:
        claim = f"the labels are of type {targets.dtype} and shape {list(targets.shape)}, not {size} target images"
        hint = "give one image per sample, and say with `channels` where they have theirs"
        raise fail(InputError, "OL207", claim, hint=hint)
    if not np.isfinite(targets.astype(np.float64)).all():
        raise fail(InputError, "OL208", "target images hold NaN or infinities", hint="drop these samples")
    if made.dtype.kind not in "iufb" or made.shape != targets.shape:
        claim = (
            f"{of} is of type {made.dtype} and shape {list(made.shape)} where the targets have {list(targets.shape)}"
        )
        raise fail(
            InputError, "OL209", claim, hint="name another `output`, or write a `postprocess` that returns images"
        )
    sides = {"first": made.shape[2:], "last": made.shape[1:3], "none": made.shape[1:]}[config.channels]
    if "ssim" in config.values and min(sides) < WINDOW:
        claim = f"images of {sides[0]} x {sides[1]} are too small for ssim, whose window is {WINDOW} x {WINDOW}"
        raise fail(InputError, "OL206", claim, path="values", hint="ask for psnr or mse")


def _data_range(targets: Array, config: ImageQualityConfig) -> float:
    if config.data_range != "dtype":
        return config.data_range
    if targets.dtype.kind in "iu":
        return float(2 ** (8 * targets.dtype.itemsize) - 1)
    claim = f"the target images are of type {targets.dtype}, which does not say what black and white are"
    raise fail(InputError, "OL207", claim, path="data_range", hint="write `data_range: 1.0` for images from 0 to 1")


def _floats(images: Array) -> Floats:
    import numpy as np

    return images.astype(np.float64)
