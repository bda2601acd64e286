"""The transform `picture`: pictures resized, cropped and normalized as an image model takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

from pydantic import Field

from olivelike.contracts.data import Columns
from olivelike.contracts.transform import Surroundings, Transform, TransformConfig, Transformed
from olivelike.errors import InputError, OlivelikeError, fail
from olivelike.sources.images import IMAGE, Pictures, Pixels, arranged, opened_picture
from olivelike.sources.transforms.preprocessor import PREPROCESSOR, preprocessor, unprepared

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from olivelike.contracts.data import Array

PIXELS = "pixel_values"
BILINEAR = 2
"""Pillow's number of the filter, in which `preprocessor_config.json` speaks; 0 nearest, 1 lanczos, 3 bicubic, 4 box, 5 hamming."""
Filter = Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
FILTERS: Mapping[str, int] = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
STRANGE = frozenset({"crop_pct", "do_flip_channel_order", "do_thumbnail", "do_align_long_axis", "do_split_image"})
"""Keys that ask for something else than resizing, cropping and normalizing."""


class PictureConfig(TransformConfig):
    """Options of `picture`; what is not given, the `preprocessor_config.json` beside the model says."""

    size: Pixels | tuple[Pixels, Pixels] | None = None
    """Height and width; a single number is the length of the shorter side, and the picture keeps its proportions."""
    crop: tuple[Pixels, Pixels] | None = None
    """Height and width of what is cut out of the centre."""
    filter: Filter | None = None
    """How pixels are interpolated."""
    scale: Annotated[float, Field(gt=0)] | None = None
    """What each pixel (0 to 255) is multiplied by first; 1/255 where nothing says so."""
    mean: tuple[float, ...] | None = None
    """What is subtracted then, for each channel."""
    std: tuple[Annotated[float, Field(gt=0)], ...] | None = None
    """What is divided by last, for each channel."""


class Picture(Transform):
    """Resizes pictures of the reader `images`, cuts out their centre, scales and normalizes them (float32).

    The column is called `pixel_values` where the model has such an input, else `image`. Mode and layout are those of the
    reader. Entries that say `size` or `scale` for the reader are left as they are by default.
    """

    config: ClassVar[type[TransformConfig]] = PictureConfig
    companions: ClassVar[tuple[str, ...]] = (PREPROCESSOR,)
    readers: ClassVar[frozenset[str]] = frozenset({"images"})
    tools: ClassVar[tuple[str, ...]] = ("pillow",)

    def applies(self, columns: Columns) -> bool:
        """Whether the reader was not told itself how to prepare its pictures."""
        pictures = columns.arrays.get(IMAGE)
        return isinstance(pictures, Pictures) and pictures.config.size is None and pictures.config.scale == 1

    def open(self, config: TransformConfig, columns: Columns, around: Surroundings) -> Transformed:
        """Reads how the model wants its pictures.

        Raises:
            InputError: OL205, nothing says how; OL206, no pictures, or something that is not done here.
        """
        typed, said = cast("PictureConfig", config), preprocessor(around)
        path = f"{around.place}.prepare"
        if not said and typed == PictureConfig():
            raise unprepared(around, "picture", "size: 256, crop: [224, 224], mean: [...], std: [...]")
        pictures = columns.arrays.get(IMAGE)
        if not isinstance(pictures, Pictures):
            claim = "`picture` prepares the pictures of the reader `images`, and there are none"
            raise fail(InputError, "OL206", claim, path=path, hint="read them with `images: FOLDER`")
        if not self.applies(columns):
            claim = "the reader's `size` and `scale` and the transform `picture` both prepare the pictures"
            raise fail(InputError, "OL206", claim, path=path, hint="keep one of the two")
        strange = sorted(key for key in STRANGE & said.keys() if said[key])
        if strange:
            claim = f"the model's {PREPROCESSOR} asks for {strange[0]}, which `picture` does not do"
            hint = "prepare them in a function of your own: `prepare: {script: ..., call: ...}`"
            raise fail(InputError, "OL206", claim, path=path, hint=hint)
        steps = _steps(typed, said, 1 if pictures.config.mode == "L" else 3, around)
        made = Prepared.open(pictures.paths, pictures.config.mode, pictures.config.layout, steps)
        name = PIXELS if any(info.name == PIXELS for info in around.inputs) else IMAGE
        rest = {other: column for other, column in columns.arrays.items() if other != IMAGE}
        return Transformed(Columns({name: made, **rest}), dict, around.label)


@dataclass(frozen=True, slots=True)
class Steps:
    """What is done to a picture, in this order.

    Attributes:
        size: height and width, or the shorter side; () leaves it.
        crop: height and width; () leaves it.
        filter: Pillow's number of the filter.
        scale: factor of each pixel.
        mean: subtracted from each channel; () leaves it.
        std: divides each channel; () leaves it.
    """

    size: tuple[int, ...]
    crop: tuple[int, ...]
    filter: int
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, picture: Image, path: Path) -> NDArray[np.float32]:
        """Returns the picture's pixels `[height, width, channels]`.

        Raises:
            InputError: OL206, the picture is smaller than what is cut out of it.
        """
        import numpy as np

        resized = picture.resize(self._size(picture), self.filter) if self.size else picture
        pixels = np.asarray(self._cropped(resized, path), dtype=np.float32) * np.float32(self.scale)
        pixels = pixels if pixels.ndim == 3 else pixels[:, :, None]
        pixels = pixels - np.array(self.mean, dtype=np.float32) if self.mean else pixels
        return (pixels / np.array(self.std, dtype=np.float32) if self.std else pixels).astype(np.float32)

    def _size(self, picture: Image) -> tuple[int, int]:
        if len(self.size) == 2:
            return self.size[1], self.size[0]
        (short,), (width, height) = self.size, picture.size
        if width <= height:
            return short, short * height // width
        return short * width // height, short

    def _cropped(self, picture: Image, path: Path) -> Image:
        if not self.crop:
            return picture
        (height, width), (has_width, has_height) = self.crop, picture.size
        if has_width < width or has_height < height:
            claim = f"is {has_height} x {has_width} pixels, and {height} x {width} are cut out of it"
            raise fail(InputError, "OL206", claim, place=str(path), hint="resize it first with `size`")
        left, top = (has_width - width) // 2, (has_height - height) // 2
        return picture.crop((left, top, left + width, top + height))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A column of prepared pictures, read when their rows are asked for; implements `contracts.data.Column`."""

    paths: Sequence[Path]
    mode: str
    layout: Literal["nchw", "nhwc"]
    steps: Steps
    shape: tuple[int, ...]

    @classmethod
    def open(cls, paths: Sequence[Path], mode: str, layout: Literal["nchw", "nhwc"], steps: Steps) -> Prepared:
        """Returns the column; the first picture gives its shape."""
        first = arranged(steps(opened_picture(paths[0], mode), paths[0]), layout)
        return cls(paths, mode, layout, steps, (len(paths), *first.shape))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Float32."""
        import numpy as np

        return np.dtype(np.float32)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: NDArray[np.intp], /) -> Array:
        import numpy as np

        found = [self._read(self.paths[row]) for row in rows.tolist()]
        return np.stack(found) if found else np.empty((0, *self.shape[1:]), dtype=np.float32)

    def _read(self, path: Path) -> NDArray[np.float32]:
        pixels = arranged(self.steps(opened_picture(path, self.mode), path), self.layout)
        if pixels.shape != self.shape[1:]:
            claim = f"has the shape {pixels.shape}, but {self.paths[0].name} has {self.shape[1:]}"
            hint = "bring all to one with `size: [height, width]` or `crop`"
            raise fail(InputError, "OL206", claim, place=str(path), hint=hint)
        return pixels


def _steps(typed: PictureConfig, said: Mapping[str, object], channels: int, around: Surroundings) -> Steps:
    size = said.get("size") if said.get("do_resize", "size" in said) else None
    crop = said.get("crop_size") if said.get("do_center_crop", False) else None
    normal = bool(said.get("do_normalize", "image_mean" in said))
    scale = said.get("rescale_factor", 1 / 255) if said.get("do_rescale", True) else 1.0
    steps = Steps(
        size=_tuple(typed.size) if typed.size is not None else _sizes(size, around, square=crop is None),
        crop=typed.crop or _sizes(crop, around, square=True),
        filter=int(str(said.get("resample", BILINEAR))) if typed.filter is None else FILTERS[typed.filter],
        scale=float(str(scale)) if typed.scale is None else typed.scale,
        mean=_channels(said.get("image_mean") if normal else None, around) if typed.mean is None else typed.mean,
        std=_channels(said.get("image_std") if normal else None, around) if typed.std is None else typed.std,
    )
    for key, values in (("mean", steps.mean), ("std", steps.std)):
        if values and len(values) not in {1, channels}:
            claim = f"`{key}` has {len(values)} numbers, and a picture {channels} channels"
            raise fail(InputError, "OL206", claim, path=f"{around.place}.prepare", hint="give one for each channel")
    return steps


def _sizes(value: object, around: Surroundings, *, square: bool) -> tuple[int, ...]:
    """Returns a size as `preprocessor_config.json` has it: a number, height and width, or the shorter side.

    A single number in files of older versions is that of a square, or of the shorter side where the picture is cropped
    afterwards.
    """
    match value:
        case None:
            return ()
        case int():
            return (value, value) if square else (value,)
        case {"height": int(height), "width": int(width)}:
            return (height, width)
        case {"shortest_edge": int(short), **rest} if not rest:
            return (short,)
    raise _unread("a size", value, around)


def _tuple(size: int | tuple[int, int]) -> tuple[int, ...]:
    return (size,) if isinstance(size, int) else size


def _channels(values: object, around: Surroundings) -> tuple[float, ...]:
    if values is None:
        return ()
    if isinstance(values, list) and all(isinstance(value, int | float) for value in values):
        return tuple(float(value) for value in values)
    raise _unread("mean or deviation", values, around)


def _unread(what: str, value: object, around: Surroundings) -> OlivelikeError:
    claim = f"the model's {PREPROCESSOR} gives {what} as {value!r}"
    hint = "write the options yourself: `prepare: {picture: {...}}`"
    return fail(InputError, "OL206", claim, path=f"{around.place}.prepare", hint=hint)
