"""The strict disk: diskcache that stores and reads text alone, and so never unpickles and never touches a file.

diskcache 5.6.3 unpickles any row that says it is a pickle, whoever wrote it (CVE-2025-69872); so does its JSONDisk, which falls
through to `Disk.fetch` and `Disk.get`. Here every way in and out refuses what is not text.
"""

from __future__ import annotations

from dataclasses import dataclass

from diskcache import UNKNOWN, Disk
from diskcache.core import MODE_RAW


class NotTextError(TypeError):
    """Something other than text was to go into the index, or was found in it."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """A key that we did not write; it takes the key's place in listings and was not decoded."""


class TextDisk(Disk):  # type: ignore[misc]  # diskcache has no types
    """Text keys and text values, kept in the database itself."""

    def put(self, key: object) -> tuple[str, bool]:
        """Returns a key as the database holds it.

        Raises:
            NotTextError: the key is not text.
        """
        if type(key) is not str:
            raise NotTextError(f"a key of the index must be text, got {type(key).__name__}")
        return key, True

    def get(self, key: object, raw: object) -> str | Foreign:
        """Returns a key that the database holds, or that it is not one of ours."""
        return key if type(key) is str and raw == 1 else Foreign()

    def store(self, value: object, read: bool, key: object = UNKNOWN) -> tuple[int, int, None, str]:
        """Returns the columns of a value: size, mode, file name, value.

        Raises:
            NotTextError: the value is not text.
        """
        if read or type(value) is not str:
            raise NotTextError(f"a value of the index must be text, got {type(value).__name__}")
        return 0, int(MODE_RAW), None, value

    def fetch(self, mode: object, filename: object, value: object, read: bool) -> str:
        """Returns the value of a row.

        Raises:
            NotTextError: the row is not one that `store` writes; it is not decoded.
        """
        if read or mode != MODE_RAW or filename is not None or type(value) is not str:
            raise NotTextError(f"a row of the index is not plain text (mode {mode!r})")
        return value

    def remove(self, file_path: object) -> None:
        """Removes nothing: our rows have no files, and a planted file name could point anywhere."""
