"""Arrays inside a NumPy archive that lie there as they are, memory-mapped without being read.

`numpy.savez` stores its members without compression, so that an array's bytes are a piece of the archive; where it starts
says the member's local header (APPNOTE.TXT of the zip format, 4.3.7) and behind that the array's own.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import numpy as np

    from olivelike.contracts.data import Array

MAPPED_FROM = 1 << 20
LOCAL_HEADER = 30
"""Bytes of a member's local header before its name and its extra field."""


def mapped(path: Path) -> dict[str, Array]:
    """Returns the large arrays of an archive that are stored without compression; the others are for NumPy to read.

    Raises:
        BadZipFile: a member does not start where the archive says, or reaches beyond its end.
    """
    found: dict[str, Array] = {}
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        for info in archive.infolist():
            large = info.compress_type == zipfile.ZIP_STORED and info.file_size >= MAPPED_FROM
            if large and info.filename.endswith(".npy"):
                _check_whole(info, file, path)
                found |= _array(info, file, path)
    return found


def shapes(path: Path) -> list[tuple[int, ...]]:
    """Returns the shape of every array of an archive; reads the headers alone, compressed or not.

    Raises:
        ValueError: an array has no header.
        BadZipFile: it is no archive.
    """
    found: list[tuple[int, ...]] = []
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.filename.endswith(".npy"):
                with archive.open(info) as member:
                    found.append(_header(member)[0])
    return found


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    import numpy as np

    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"unknown version {version} of the format")
    shape, fortran, dtype = readers[version](file)
    return shape, fortran, dtype


def _array(info: zipfile.ZipInfo, file: BinaryIO, path: Path) -> dict[str, Array]:
    import numpy as np

    shape, fortran, dtype = _header(file)
    if dtype.hasobject or not shape or fortran:
        return {}
    array = np.memmap(path, dtype=dtype, mode="r", offset=file.tell(), shape=shape)
    return {info.filename.removesuffix(".npy"): array}


def _check_whole(info: zipfile.ZipInfo, file: BinaryIO, path: Path) -> None:
    """Leaves the file where the member's bytes start."""
    file.seek(info.header_offset)
    header = file.read(LOCAL_HEADER)
    if len(header) < LOCAL_HEADER or header[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile(f"{info.filename} does not start where the archive says")
    names, extra = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
    start = info.header_offset + LOCAL_HEADER + names + extra
    if start + info.file_size > path.stat().st_size:
        raise zipfile.BadZipFile(f"{info.filename} is truncated")
    file.seek(start)
