"""The data reader `npy`: one NumPy array for each column, memory-mapped where it is large."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, ClassVar, cast

from pydantic import BaseModel

from olivelike.contracts.data import Column, Columns, DataReader, ReaderConfig
from olivelike.errors import InputError, fail
from olivelike.sources.npz import unreadable

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

MAPPED_FROM = 1 << 20


class NpyConfig(ReaderConfig):
    """Configuration of `npy`."""

    npy: str | dict[str, str]
    """An `.npy` file, whose column is called like the file (`images.npy` gives `images`); or column names with a file each."""


class Npy(DataReader):
    """Reads `{npy: images.npy}` or `{npy: {images: images.npy, labels: labels.npy}}`."""

    config: ClassVar[type[BaseModel]] = NpyConfig

    def files(self, config: BaseModel) -> tuple[str, ...]:
        """Returns the files, in the order written."""
        return tuple(_by_column(config).values())

    def count(self, config: BaseModel, files: Mapping[str, Path]) -> int:
        """Returns the least number of rows."""
        return self.read(config, files, dict).count

    def read(self, config: BaseModel, files: Mapping[str, Path], call: Callable[..., object]) -> Columns:
        """Opens every array; files of 1 MiB and more are memory-mapped.

        Raises:
            InputError: OL205, missing, truncated, not an array, or pickled objects.
        """
        return Columns({column: _open(files[name]) for column, name in _by_column(config).items()})


def _by_column(config: BaseModel) -> dict[str, str]:
    npy = cast("NpyConfig", config).npy
    return {PurePosixPath(npy.replace("\\", "/")).stem: npy} if isinstance(npy, str) else npy


def _open(path: Path) -> Column:
    import numpy as np

    try:
        mapped = path.stat().st_size >= MAPPED_FROM
        loaded: object = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise unreadable(path, error, "NumPy array") from error
    if isinstance(loaded, np.lib.npyio.NpzFile):
        loaded.close()
        raise fail(InputError, "OL205", "is an archive of several arrays", place=str(path), hint="read it with `npz:`")
    array = cast("Array", loaded)
    if not array.ndim:
        claim = "holds a single number, and a column needs an axis of samples"
        raise fail(InputError, "OL205", claim, place=str(path), hint="save an array [samples, ...]")
    return array
