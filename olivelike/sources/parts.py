"""A model in parts on this machine's disk: a folder that `split` filled, or ONNX files of which some take what others give.

Such a folder is only read as one where a pass asks for parts: elsewhere it holds several models, of which one is to be named.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from olivelike.contracts.artifact import MANIFEST_NAME, PARTS_KIND, RENAMED_INPUTS, Manifest
from olivelike.contracts.ports import Fetched
from olivelike.digest import Json
from olivelike.errors import InputError, fail
from olivelike.onnxfile.read import signature
from olivelike.sources.layout import inside, is_companion
from olivelike.sources.ondisk import files_of_model, names_in


@dataclass(frozen=True, slots=True)
class _Ends:
    """What a file takes and gives, by name; what it only hands through it does not give."""

    takes: frozenset[str]
    gives: frozenset[str]


def parts_at(folder: Path, revision: Mapping[str, Json]) -> Fetched:
    """Returns the parts of a model in a folder; who joins them puts them in order.

    An `artifact.json` of a model in parts says which files they are, and with its notes how the whole looked. Without one
    they are the `.onnx` files in the folder itself, all connected by what they give and take by name.

    Args:
        folder: the folder.
        revision: what pins it, for the lock.

    Raises:
        InputError: OL201, there are no several files, or the names do not say how they belong together; OL202, a file is no
            ONNX model; OL203, its external data are missing.
    """
    manifest = _manifest(folder)
    if manifest is None:
        manifest = Manifest(PARTS_KIND, {PurePosixPath(name).stem: name for name in _joined(folder)})
    files = dict.fromkeys(name for part in manifest.parts.values() for name in files_of_model(folder, part))
    return Fetched(
        kind=PARTS_KIND,
        files={name: folder / name for name in sorted({*files, *manifest.companions})},
        parts=manifest.parts,
        companions=manifest.companions,
        revision=revision,
        notes=manifest.notes,
    )


def _manifest(folder: Path) -> Manifest | None:
    """Returns what `split` wrote of the parts; nothing where there is no such file, or one of something else.

    Of companions only those count that a model's folder may hold beside it and that lie in it. What inputs were called before
    stays behind: in the workflow that joins the parts, their names are the first.
    """
    file = folder / MANIFEST_NAME
    if not file.is_file():
        return None
    try:
        manifest = Manifest.from_json(json.loads(file.read_bytes()))
        parts = {name: inside(part, str(folder)) for name, part in manifest.parts.items()}
        companions = tuple(inside(name, str(folder)) for name in manifest.companions)
        notes = {name: note for name, note in manifest.notes.items() if name != RENAMED_INPUTS}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        claim = f"cannot be read: {type(error).__name__} {error}"
        hint = "take it away to join the files by their names"
        raise fail(InputError, "OL201", claim, place=str(file), hint=hint) from error
    if manifest.kind != PARTS_KIND:
        return None
    missing = [part for part in parts.values() if not _is_here(folder, part)]
    if missing or not parts:
        claim = f"lists parts that are not there: {', '.join(missing)}" if parts else "lists no parts"
        raise fail(InputError, "OL201", claim, place=str(file), hint="copy the whole folder")
    kept = tuple(name for name in companions if is_companion(name) and _is_here(folder, name))
    return Manifest(PARTS_KIND, parts, kept, notes=notes)


def _is_here(folder: Path, name: str) -> bool:
    """Whether a file lies in a folder, and is no link to one outside it."""
    file = (folder / name).resolve()
    return file.is_file() and file.is_relative_to(folder.resolve())


def _joined(folder: Path) -> list[str]:
    names = [name for name in names_in(folder) if "/" not in name and name.lower().endswith(".onnx")]
    if len(names) < 2:
        claim = f"holds {names[0]} alone: there is nothing to join" if names else "holds no .onnx files"
        raise fail(InputError, "OL201", claim, place=str(folder), hint="name a folder with the parts of a model")
    stems = Counter(PurePosixPath(name).stem for name in names)
    if alike := [name for name in names if stems[PurePosixPath(name).stem] > 1]:
        claim = f"holds files of one name: {', '.join(alike)}"
        raise fail(InputError, "OL201", claim, place=str(folder), hint="rename one of them")
    ends = {name: _ends(folder / name) for name in sorted(names, key=_natural)}
    if reason := _ambiguous(ends):
        hint = "leave in the folder only files that give what others take, under the same names (rename_io)"
        raise fail(InputError, "OL201", f"holds files that make no one model: {reason}", place=str(folder), hint=hint)
    return list(ends)


def _ends(file: Path) -> _Ends:
    found = signature(file)
    takes = frozenset(value.name for value in found.inputs)
    return _Ends(takes, frozenset(value.name for value in found.outputs) - takes)


def _ambiguous(ends: Mapping[str, _Ends]) -> str:
    """Returns why the names do not say how files belong together; empty where they do."""
    makers: dict[str, str] = {}
    for name, own in ends.items():
        for value in sorted(own.gives):
            if value in makers:
                return f"both {makers[value]} and {name} give {value!r}"
            makers[value] = name
    groups = [{name} for name in ends]
    for name, own in ends.items():
        for value in own.takes & makers.keys():
            meeting = [group for group in groups if group & {name, makers[value]}]
            groups = [
                *(group for group in groups if group not in meeting),
                {each for group in meeting for each in group},
            ]
    if len(groups) > 1:
        sizes = [len(group) for group in groups]
        least = sorted(groups[sizes.index(min(sizes))], key=_natural)
        return f"nothing goes between {', '.join(least)} and the others"
    return ""


def _natural(name: str) -> list[tuple[int, str]]:
    """Returns what names are ordered by: `part2` stands before `part10`."""
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in re.split(r"(\d+)", name)]
