"""The data reader `npz`: the arrays of a NumPy archive are the columns."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, cast

from pydantic import BaseModel

from olivelike.contracts.data import Columns, DataReader, ReaderConfig
from olivelike.errors import InputError, OlivelikeError, fail
from olivelike.sources.stored_arrays import mapped, shapes


class NpzConfig(ReaderConfig):
    """Configuration of `npz`."""

    npz: str
    """An `.npz` file; each array in it is a column of its name."""


class Npz(DataReader):
    """Reads `{npz: calibration.npz}`; arrays without an axis (single numbers) are no columns and are left out.

    Large arrays that are stored as they are (`numpy.savez`) are memory-mapped; compressed ones (`savez_compressed`) are
    read as a whole.
    """

    config: ClassVar[type[BaseModel]] = NpzConfig

    def files(self, config: BaseModel) -> tuple[str, ...]:
        """Returns the one file."""
        return (cast("NpzConfig", config).npz,)

    def count(self, config: BaseModel, files: Mapping[str, Path]) -> int:
        """Returns the least number of rows, from the headers of the arrays."""
        path = files[cast("NpzConfig", config).npz]
        try:
            return min((shape[0] for shape in shapes(path) if shape), default=0)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise unreadable(path, error, "NumPy archive") from error

    def read(self, config: BaseModel, files: Mapping[str, Path], call: Callable[..., object]) -> Columns:
        """Opens every array of the archive.

        Raises:
            InputError: OL205, missing, truncated, no archive, or pickled objects in it.
        """
        import numpy as np

        path = files[cast("NpzConfig", config).npz]
        try:
            with path.open("rb") as file:
                archive = np.load(file, allow_pickle=False)
                if not isinstance(archive, np.lib.npyio.NpzFile):
                    hint = "read it with `npy:`"
                    raise fail(InputError, "OL205", "is a single .npy array", place=str(path), hint=hint)
                found = mapped(path)
                arrays = {name: found[name] if name in found else archive[name] for name in archive.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            raise unreadable(path, error, "NumPy archive") from error
        return Columns({name: array for name, array in arrays.items() if array.ndim})


def unreadable(path: Path, error: Exception, kind: str) -> OlivelikeError:
    """Returns the error for a NumPy file that cannot be read; `kind` says what it should be."""
    if isinstance(error, FileNotFoundError):
        return fail(InputError, "OL205", "is missing", place=str(path), hint="check the path")
    if path.is_dir():
        return fail(InputError, "OL205", f"is a folder, not a {kind}", place=str(path), hint="name the file in it")
    if "Object arrays" in str(error) or _is_pickle(path):
        hint = "save numbers or strings of fixed width (`array.astype(str)`), not objects"
        return fail(
            InputError, "OL205", "holds pickled Python objects, which are never loaded", place=str(path), hint=hint
        )
    reason = "unknown format" if "pickle" in str(error) else str(error) or type(error).__name__
    claim = f"is no {kind}, or is truncated: {reason}"
    return fail(InputError, "OL205", claim, place=str(path), hint="write the file again")


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) == b"\x80"  # the first opcode of every pickle since protocol 2
