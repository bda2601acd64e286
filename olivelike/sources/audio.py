"""The data reader `audio`: a folder of recordings, whose sub-folders are the classes; each is read when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

from pydantic import BaseModel, Field

from olivelike.contracts.data import Column, Columns, DataReader, ReaderConfig
from olivelike.contracts.extras import need
from olivelike.errors import InputError, fail
from olivelike.sources.class_folders import class_labels, sample_files
from olivelike.sources.mapping import LABEL
from olivelike.sources.ragged import ragged

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array

AUDIO = "audio"
SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".aiff", ".aif", ".au"})


class AudioConfig(ReaderConfig):
    """Configuration of `audio`."""

    audio: str
    """A folder of recordings, or of one folder for each class."""
    rate: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Samples a second that every recording is resampled to; with 0 all must have one rate."""


class Audio(DataReader):
    """Reads `{audio: commands, rate: 16000}` into the ragged column `audio`, and `label` where there are class folders.

    A recording becomes mono (the mean of its channels), float32 from -1 to 1. Its rate is changed by a polyphase filter
    (`scipy.signal.resample_poly`). A label is the position of the class folder's name among the sorted names, from 0.
    Needs the extra `data`.
    """

    config: ClassVar[type[BaseModel]] = AudioConfig
    brings_labels: ClassVar[bool] = True

    def files(self, config: BaseModel) -> tuple[str, ...]:
        """Returns the one folder."""
        return (cast("AudioConfig", config).audio,)

    def count(self, config: BaseModel, files: Mapping[str, Path]) -> int:
        """Returns the number of samples."""
        return self.read(config, files, dict).count

    def read(self, config: BaseModel, files: Mapping[str, Path], call: Callable[..., object]) -> Columns:
        """Lists the recordings; they are read batch by batch.

        Raises:
            InputError: OL205, no recordings, or a damaged one; OL207, only some lie in a class folder; OL211, no soundfile.
        """
        import numpy as np

        need("data", "soundfile", what="reading recordings")
        typed = cast("AudioConfig", config)
        folder = files[typed.audio]
        names = sample_files(folder, SUFFIXES, "recording")
        paths = [folder / name for name in names]
        columns: dict[str, Column] = {AUDIO: Clips(paths, typed.rate or recording(paths[0])[1], bool(typed.rate))}
        if labels := class_labels(names, folder, "recording"):
            columns[LABEL] = np.array(labels, dtype=np.int64)
        return Columns(columns)


@dataclass(frozen=True, slots=True)
class Clips:
    """A ragged column of recordings that are read when their rows are asked for.

    Attributes:
        paths: one file for each sample.
        rate: samples a second.
        resample: whether recordings of another rate are resampled; otherwise they are refused.
    """

    paths: Sequence[Path]
    rate: int
    resample: bool
    ragged: ClassVar[bool] = True

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of recordings."""
        return (len(self.paths),)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Arrays of different length."""
        import numpy as np

        return np.dtype(object)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: NDArray[np.intp], /) -> Array:
        return ragged([self._read(self.paths[row]) for row in rows.tolist()])

    def _read(self, path: Path) -> Array:
        samples, rate = recording(path)
        if rate == self.rate:
            return samples
        if not self.resample:
            claim = f"has {rate} samples a second, but {self.paths[0].name} has {self.rate}"
            raise fail(InputError, "OL206", claim, place=str(path), hint=f"resample all with `rate: {self.rate}`")
        return resampled(samples, rate, self.rate)


def recording(path: Path) -> tuple[NDArray[np.float32], int]:
    """Returns a recording's samples, mono, and how many there are in a second.

    Raises:
        InputError: OL205, it is no recording, is damaged, or holds nothing.
    """
    import numpy as np
    from soundfile import SoundFileError, read

    try:
        samples, rate = read(path, dtype="float32", always_2d=True)
    except (SoundFileError, OSError) as error:
        claim = f"is no recording, or is damaged: {error}"
        raise fail(InputError, "OL205", claim, place=str(path), hint="replace or remove it") from error
    if not len(samples):
        raise fail(InputError, "OL205", "holds no sound", place=str(path), hint="replace or remove it")
    return samples.mean(axis=1, dtype=np.float32), int(rate)


def resampled(samples: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    """Returns a recording at another rate, in samples a second."""
    import numpy as np
    from scipy.signal import resample_poly

    shared = gcd(rate, wanted)
    return resample_poly(samples, wanted // shared, rate // shared).astype(np.float32)
