"""Snapshots in the Hub's cache, whose files are links into the folder `blobs` beside them.

A model with external data behind links that leave its folder is refused everywhere else; here the links were made by the
Hub's own client, and they are followed as long as they lead to that folder.
"""

from __future__ import annotations

from pathlib import Path

from olivelike.errors import InputError, fail


def in_snapshot(model: Path) -> bool:
    """Whether a model lies in a snapshot of the Hub's cache and is a link to one of its blobs."""
    return model.is_symlink() and any(model.resolve().is_relative_to(blobs.resolve()) for blobs in _blobs(model))


def check_linked_model(model: Path) -> None:
    """Checks a model in a snapshot, and that its external data are there; reads its structure only.

    Raises:
        InputError: OL202, it is no ONNX model; OL203, external data are missing, too short, or not in the cache.
    """
    from olivelike.onnxfile.external import extent_of, is_external
    from olivelike.onnxfile.read import read_structure
    from olivelike.onnxfile.walk import tensors

    for tensor in tensors(read_structure(model)):
        if is_external(tensor):
            extent = extent_of(tensor, model)
            _check_reaches(model, extent.location, extent.offset + extent.length)


def _check_reaches(model: Path, location: str, end: int) -> None:
    path = model.parent / location
    if not path.is_file():
        claim = f"the external data {location!r} are missing"
        raise fail(InputError, "OL203", claim, place=str(model), hint="download the model again")
    if path.is_symlink() and not in_snapshot(path):
        claim = f"the external data {location!r} are a link to {path.resolve()}, outside the cache"
        raise fail(InputError, "OL203", claim, place=str(model), hint="download the model again")
    if path.stat().st_size < end:
        claim = f"the external data {location!r} have {path.stat().st_size} bytes, the model needs {end}"
        raise fail(InputError, "OL203", claim, place=str(model), hint="download the model again")


def _blobs(model: Path) -> list[Path]:
    return [parent.parent.parent / "blobs" for parent in model.parents if parent.parent.name == "snapshots"]
