"""Folders of samples, one file each: which files count, and their labels where each lies in the folder of its class."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from olivelike.digest import files_below
from olivelike.errors import InputError, OlivelikeError, fail


def sample_files(folder: Path, suffixes: Collection[str], noun: str) -> list[str]:
    """Returns the files below a folder that end as samples do, by relative POSIX name, sorted.

    Args:
        folder: where they lie.
        suffixes: how they may end, in lower case, with the dot.
        noun: what one file is, for messages.

    Raises:
        InputError: OL205, there is none.
    """
    names = [name for name in files_below(folder) if Path(name).suffix.lower() in suffixes]
    if not names:
        claim = f"holds no {noun}s ({', '.join(sorted(suffixes))})"
        raise fail(InputError, "OL205", claim, place=str(folder), hint=f"name the folder of the {noun}s")
    return names


def class_labels(names: Sequence[str], folder: Path, noun: str) -> list[int]:
    """Returns each file's label: the position of its class folder's name among the sorted names, from 0.

    Args:
        names: the files below the folder, by relative POSIX name.
        folder: where they lie, for messages.
        noun: what one file is, for messages.

    Returns:
        One label for each file; none where no file lies in a folder.

    Raises:
        InputError: OL207, only some files lie in a folder.

    >>> class_labels(["cat/1.png", "dog/1.png", "cat/deep/2.png"], Path("pictures"), "picture")
    [0, 1, 0]
    """
    if not any("/" in name for name in names):
        return []
    loose = next((name for name in names if "/" not in name), "")
    if loose:
        raise _without_class(loose, folder, noun)
    classes = [name.split("/", 1)[0] for name in names]
    number = {name: at for at, name in enumerate(sorted(set(classes)))}
    return [number[name] for name in classes]


def _without_class(name: str, folder: Path, noun: str) -> OlivelikeError:
    claim = f"{name} lies in no class folder, others do"
    return fail(InputError, "OL207", claim, place=str(folder), hint=f"put every {noun} into the folder of its class")
