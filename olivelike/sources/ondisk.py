"""A model on this machine's disk, checked and listed: what the sources for paths, packages and hubs come down to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from olivelike.contracts.artifact import MODEL
from olivelike.contracts.ports import Fetched
from olivelike.digest import Json
from olivelike.errors import InputError, fail, nearest
from olivelike.sources.layout import PICKLED, Layout, layout, not_onnx
from olivelike.sources.safetensors import check_weights
from olivelike.sources.snapshot import check_linked_model, in_snapshot


def model_at(path: Path, file: str, revision: Mapping[str, Json]) -> Fetched:
    """Returns the model at a path: an ONNX file with its external data, or a folder.

    Args:
        path: a file or a folder.
        file: the model's file inside a folder, or empty.
        revision: what pins it, for the lock.

    Raises:
        InputError: OL201 (nothing there), OL202 (not a model), OL203 (external data).
    """
    if path.is_dir():
        return model_in(path, layout(list(names_in(path)), file, str(path)), revision)
    if not path.is_file():
        raise fail(InputError, "OL201", "there is no such file or folder", place=str(path), hint=near_miss(path))
    if file:
        claim = f"`file: {file}` is given, but the path is a file already"
        raise fail(InputError, "OL201", claim, place=str(path), hint="leave `file` out, or name the folder")
    if path.suffix.lower() in {*PICKLED, ".safetensors"}:
        raise not_onnx(path.name, str(path.parent))
    return model_in(path.parent, Layout("onnx", path.name, (), ()), revision)


def model_in(folder: Path, found: Layout, revision: Mapping[str, Json]) -> Fetched:
    """Returns the model of a folder once its layout is known.

    Raises:
        InputError: OL202, OL203.
    """
    names = list(found.files)
    if found.kind == "onnx":
        names += files_of_model(folder, found.main)
    check_weights(folder, found.weights)
    return Fetched(
        kind=found.kind,
        files={name: folder / name for name in sorted(set(names))},
        parts={MODEL: found.main},
        companions=found.companions,
        revision=revision,
    )


def files_of_model(folder: Path, main: str) -> list[str]:
    """Returns the names of an ONNX file and its external data, relative to the folder, checked.

    Raises:
        InputError: OL202, it is no ONNX model; OL203, external data are missing, too short or outside the folder.
    """
    _check_onnx(folder / main)
    return [main, *external_locations(folder, main)]


def external_locations(folder: Path, main: str) -> list[str]:
    """Returns the names of an ONNX file's external data, relative to the folder; they need not be there yet.

    Raises:
        InputError: OL202, it is no ONNX model; OL203, a name points outside the folder.
    """
    from olivelike.onnxfile.external import external_files

    return [(PurePosixPath(main).parent / name).as_posix() for name in external_files(folder / main)]


def names_in(folder: Path) -> Iterator[str]:
    """Yields the relative POSIX names of all files below a folder, without hidden folders (`.git`, `.cache`), sorted."""
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        base = Path(path).relative_to(folder)
        yield from ((base / name).as_posix() for name in sorted(files))


def _check_onnx(model: Path) -> None:
    from olivelike.onnxfile.check import check_model_file

    if in_snapshot(model):
        check_linked_model(model)
    else:
        check_model_file(model)


def near_miss(path: Path) -> str:
    """Returns a hint for a path at which there is nothing: the near miss beside it, or what is there."""
    siblings = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    return nearest(path.name, siblings) if siblings else f"the folder {path.parent} is missing or empty"
