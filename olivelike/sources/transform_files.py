"""The files of a named transform: those beside the model by their last names, and those that the options name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from olivelike.contracts.artifact import Artifact
from olivelike.digest import Json, JsonObject
from olivelike.sources.data_files import below, replaced, stored_names

NAMED = "named"


def companions(model: Artifact, wanted: Sequence[str]) -> dict[str, Path]:
    """Returns the model's companions of these last names; of two in different folders the deeper one, nearer to the model."""
    found = {PurePosixPath(name).name: model.folder / name for name in sorted(model.manifest.companions)}
    return {name: found[name] for name in wanted if name in found}


def named_files(written: Sequence[str], folder: Path) -> dict[str, Path]:
    """Returns the files that a user named, by their names in the store.

    Raises:
        InputError: OL205, one is missing.
    """
    found: dict[str, Path] = {}
    for name, stored in stored_names(written).items():
        found |= below(folder / Path(name).expanduser(), f"{NAMED}/{stored}")
    return found


def stored_options(options: JsonObject, written: Sequence[str]) -> Json:
    """Returns a transform's options with every file replaced by its name in the store."""
    names = {name: f"{NAMED}/{stored}" for name, stored in stored_names(written).items()}
    return replaced(options, names)
