"""The data reader `images`: a folder of pictures, whose sub-folders are the classes; each is read when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar, cast

from pydantic import BaseModel, Field

from olivelike.contracts.data import Column, Columns, DataReader, ReaderConfig
from olivelike.contracts.extras import need
from olivelike.errors import InputError, fail
from olivelike.sources.class_folders import class_labels, sample_files
from olivelike.sources.mapping import LABEL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from olivelike.contracts.data import Array

    Number = TypeVar("Number", bound=np.generic)

IMAGE = "image"
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
Pixels = Annotated[int, Field(gt=0, le=1 << 15)]


class ImagesConfig(ReaderConfig):
    """Configuration of `images`."""

    images: str
    """A folder of pictures, or of one folder for each class."""
    size: tuple[Pixels, Pixels] | None = None
    """Height and width that every picture is scaled to (bilinear); without it all must have one size."""
    mode: Literal["RGB", "L"] = "RGB"
    """Three colours, or one grey value."""
    layout: Literal["nchw", "nhwc"] = "nchw"
    """Whether channels come before or after height and width."""
    scale: float = 1.0
    """What each pixel (0 to 255) is multiplied by, `0.00392156862745098` for 0 to 1; 1 leaves them uint8."""


class Images(DataReader):
    """Reads `{images: pictures, size: [224, 224]}` into the column `image`, and `label` where there are class folders.

    A label is the position of the class folder's name among the sorted names, from 0. Needs the extra `images`.
    """

    config: ClassVar[type[BaseModel]] = ImagesConfig
    brings_labels: ClassVar[bool] = True

    def files(self, config: BaseModel) -> tuple[str, ...]:
        """Returns the one folder."""
        return (cast("ImagesConfig", config).images,)

    def count(self, config: BaseModel, files: Mapping[str, Path]) -> int:
        """Returns the number of samples."""
        return self.read(config, files, dict).count

    def read(self, config: BaseModel, files: Mapping[str, Path], call: Callable[..., object]) -> Columns:
        """Lists the pictures and reads the first one's size; pixels are read batch by batch.

        Raises:
            InputError: OL205, no pictures, or a damaged one; OL207, only some lie in a class folder; OL211, no Pillow.
        """
        import numpy as np

        need("images", "PIL", what="reading pictures")
        typed = cast("ImagesConfig", config)
        folder = files[typed.images]
        names = sample_files(folder, SUFFIXES, "picture")
        columns: dict[str, Column] = {IMAGE: Pictures.open([folder / name for name in names], typed)}
        labels = class_labels(names, folder, "picture")
        if labels:
            columns[LABEL] = np.array(labels, dtype=np.int64)
        return Columns(columns)


@dataclass(frozen=True, slots=True)
class Pictures:
    """A column of pictures that are read when their rows are asked for.

    Attributes:
        paths: one file for each sample.
        config: how to read them.
        shape: samples, then channels, height and width in the order of the layout.
        dtype: uint8, or float32 where pixels are scaled.
    """

    paths: Sequence[Path]
    config: ImagesConfig
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @classmethod
    def open(cls, paths: Sequence[Path], config: ImagesConfig) -> Pictures:
        """Returns the column; the first picture gives its shape."""
        first = _pixels(paths[0], config)
        return cls(paths, config, (len(paths), *first.shape), first.dtype)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: NDArray[np.intp], /) -> Array:
        import numpy as np

        pictures = [self._read(self.paths[row]) for row in rows.tolist()]
        return np.stack(pictures) if pictures else np.empty((0, *self.shape[1:]), dtype=self.dtype)

    def _read(self, path: Path) -> Array:
        pixels = _pixels(path, self.config)
        if pixels.shape != self.shape[1:]:
            claim = f"has the shape {pixels.shape}, but {self.paths[0].name} has {self.shape[1:]}"
            raise fail(
                InputError, "OL206", claim, place=str(path), hint="scale all to one with `size: [height, width]`"
            )
        return pixels


def opened_picture(path: Path, mode: str) -> Image:
    """Reads a picture.

    Raises:
        InputError: OL205, it is none, or is damaged.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            return opened.convert(mode)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        claim = f"is no picture, or is damaged: {error}"
        raise fail(InputError, "OL205", claim, place=str(path), hint="replace or remove it") from error


def _pixels(path: Path, config: ImagesConfig) -> Array:
    import numpy as np

    picture = opened_picture(path, config.mode)
    array = arranged(np.asarray(_scaled(picture, config), dtype=np.uint8), config.layout)
    return array if config.scale == 1 else (array * np.float32(config.scale)).astype(np.float32)


def _scaled(picture: Image, config: ImagesConfig) -> Image:
    from PIL.Image import Resampling

    if config.size is None:
        return picture
    height, width = config.size
    return picture.resize((width, height), Resampling.BILINEAR)


def arranged(pixels: NDArray[Number], layout: Literal["nchw", "nhwc"]) -> NDArray[Number]:
    """Returns pixels `[height, width]` or `[height, width, channels]` with their channels where the layout has them."""
    with_channels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    return with_channels.transpose(2, 0, 1) if layout == "nchw" else with_channels
