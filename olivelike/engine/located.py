"""A model where it lies: found as the source `path` finds it, and neither copied nor hashed nor checked against its data."""

from __future__ import annotations

from pathlib import Path

from olivelike.contracts.artifact import MODEL, Artifact, Manifest
from olivelike.errors import InputError, fail
from olivelike.sources.layout import Layout, layout
from olivelike.sources.ondisk import names_in, near_miss

ONNX = "onnx"


def located(path: Path) -> Artifact:
    """Returns the ONNX model at a path: a file, or the one model of a folder (a bundle, a Hugging Face folder).

    The artifact has no digest: it is to look at, not to be kept.

    Raises:
        InputError: OL201, there is no such file or no one model in the folder; OL115, it is no ONNX model.
    """
    path = path.expanduser()
    if not path.exists():
        raise fail(InputError, "OL201", "there is no such file or folder", place=str(path), hint=near_miss(path))
    if path.is_file():
        return _artifact(path.parent, Layout(ONNX, path.name, (), ()))
    found = layout(list(names_in(path)), "", str(path))
    if found.kind != ONNX:
        claim = "the folder holds a Transformers model, not an ONNX model"
        raise fail(InputError, "OL115", claim, place=str(path), hint="export it to ONNX")
    return _artifact(path, found)


def _artifact(folder: Path, found: Layout) -> Artifact:
    return Artifact(folder, Manifest(found.kind, {MODEL: found.main}, found.companions), "")
