"""The files of a data entry: where they lie now, what they are called in the store, and the config that says so.

In the store a file is called by its last name, so that moving a folder of data changes no key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from pydantic import BaseModel

from olivelike.contracts.data import DataReader
from olivelike.digest import Json
from olivelike.errors import InputError, fail, nearest
from olivelike.sources.closure import script_files
from olivelike.sources.ondisk import names_in


def data_files(reader: DataReader, config: BaseModel, folder: Path) -> dict[str, Path]:
    """Returns all files that a data entry names; folders are expanded, a script brings what it imports from its folder.

    Args:
        reader: the entry's reader.
        config: its configuration, paths as the user wrote them.
        folder: where relative paths start (the workflow's folder).

    Returns:
        Name in the store to the file: relative, stable wherever the files lie, sorted.

    Raises:
        InputError: OL205, a file or folder is missing, or a folder is empty; OL209, a script is no Python.
    """
    written = reader.files(config)
    found: dict[str, Path] = {}
    for name, stored in stored_names(written).items():
        found |= below(folder / Path(name).expanduser(), stored)
    return dict(sorted(found.items()))


def stored_config(reader: DataReader, config: BaseModel) -> dict[str, Json]:
    """Returns a reader's configuration with every path replaced by its name in the store.

    Paths are replaced in the first field alone, the one that bears the reader's name: see `ReaderConfig`.
    """
    dumped: dict[str, Json] = config.model_dump(mode="json")
    dumped |= {name: type(config).model_fields[name].default for name in reader.choosing}
    first = next(iter(type(config).model_fields))
    return {**dumped, first: replaced(dumped[first], stored_names(reader.files(config)))}


def stored_names(written: Sequence[str]) -> dict[str, str]:
    """Returns the name in the store of each path: its last part, behind a number where two paths share that.

    >>> stored_names(["data/test.npz"])
    {'data/test.npz': 'test.npz'}
    >>> stored_names(["a/x.npy", "b/x.npy"])
    {'a/x.npy': '0/x.npy', 'b/x.npy': '1/x.npy'}
    """
    unique = list(dict.fromkeys(written))
    last = [_last_part(name) for name in unique]
    shared = len({name.lower() for name in last}) < len(last)
    return {name: f"{at}/{last[at]}" if shared else last[at] for at, name in enumerate(unique)}


def _last_part(name: str) -> str:
    part = PurePosixPath(name.replace("\\", "/")).name
    return re.sub(r'[<>:"|?*\x00-\x1f]', "_", part) if part not in {"", ".", ".."} else "data"


def below(path: Path, stored: str) -> dict[str, Path]:
    """Returns a file, or every file below a folder, by its name in the store.

    Raises:
        InputError: OL205, there is nothing, or an empty folder; OL209, a script is no Python.
    """
    if path.is_dir():
        found = {f"{stored}/{name}": path / name for name in names_in(path)}
        if not found:
            raise fail(InputError, "OL205", "the folder is empty", place=str(path), hint="name the folder of the data")
        return found
    if not path.is_file():
        siblings = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = nearest(path.name, siblings) if siblings else f"the folder {path.parent} is missing or empty"
        raise fail(InputError, "OL205", "there is no such file or folder", place=str(path), hint=hint)
    if path.suffix == ".py":
        beside = PurePosixPath(stored).parent
        return {(beside / name).as_posix(): file for name, file in script_files(path).items()}
    return {stored: path}


def replaced(value: Json, names: Mapping[str, str]) -> Json:
    """Returns a JSON value in which every text that is one of the names is replaced."""
    match value:
        case str():
            return names.get(value, value)
        case list():
            return [replaced(item, names) for item in value]
        case dict():
            return {key: replaced(item, names) for key, item in value.items()}
        case _:
            return value
