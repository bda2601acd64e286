"""Which files make a split of a data set: decided by the package `datasets`, from names and the head of `README.md` alone.

For a data set on the Hub it is shown a folder of empty files of the same names, so that nothing but what is wanted is
downloaded. Python files are not shown to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from olivelike.errors import InputError, OlivelikeError, fail, nearest

README = "README.md"
SAVED = "state.json"
SAVED_SPLITS = "dataset_dict.json"


def files_of_split(data: Path | Mapping[str, bytes], config: str, split: str, place: str) -> list[str]:
    """Returns the names of a split's files, in order.

    Args:
        data: a folder, or the names of a repository's files, each with the content of its `README.md`.
        config: the configuration, or empty where there is one.
        split: the split, or empty where there is one.
        place: the data set, for messages.

    Raises:
        InputError: OL205, no such split or configuration, several and none named, or no data files.
    """
    if isinstance(data, Path):
        return _saved(data, split, place) or _resolved(data, config, split, place)
    with TemporaryDirectory(prefix="olivelike-") as folder:
        for name, head in data.items():
            path = Path(folder) / name
            if path.suffix != ".py" and (name != README or head.startswith(b"---")):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(head if name == README else b"")
        return _resolved(Path(folder), config, split, place)


def _saved(folder: Path, split: str, place: str) -> list[str]:
    """Returns the files of a data set that `save_to_disk` wrote; none for any other folder."""
    if (folder / SAVED_SPLITS).is_file():
        splits = list(json.loads((folder / SAVED_SPLITS).read_text(encoding="utf-8"))["splits"])
        chosen = _chosen(split, splits, place)
        return [f"{chosen}/{name}" for name in _saved(folder / chosen, "", place)]
    if not (folder / SAVED).is_file():
        return []
    state = json.loads((folder / SAVED).read_text(encoding="utf-8"))
    if split and state.get("_split") not in {split, None}:
        raise _none("split", split, [str(state["_split"])], place)
    return [str(entry["filename"]) for entry in state["_data_files"]]


def _resolved(folder: Path, config: str, split: str, place: str) -> list[str]:
    from datasets import load_dataset_builder
    from datasets.exceptions import DatasetsError

    with TemporaryDirectory(prefix="olivelike-") as cache:
        try:
            builder = load_dataset_builder(str(folder), config or None, cache_dir=cache)
        except (DatasetsError, OSError, ValueError) as error:
            raise _unresolved(error, config, place) from error
        found = builder.config.data_files or {}
    files = found[_chosen(split, [str(name) for name in found], place)]
    return [Path(file).relative_to(folder).as_posix() for file in map(str, files)]


def _chosen(split: str, known: list[str], place: str) -> str:
    if split in known:
        return split
    if split:
        raise _none("split", split, known, place)
    if len(known) != 1:
        claim = f"has {len(known)} splits: {', '.join(known)}"
        raise fail(InputError, "OL205", claim, place=place, hint=f"name one with `split: {known[-1] if known else ''}`")
    return known[0]


def _none(what: str, asked: str, known: list[str], place: str) -> OlivelikeError:
    return fail(InputError, "OL205", f"has no {what} {asked!r}", place=place, hint=nearest(asked, known))


def _unresolved(error: Exception, config: str, place: str) -> OlivelikeError:
    said = str(error)
    known = said.partition("[")[2].partition("]")[0].replace("'", "").split(", ")
    if "Config name is missing" in said:
        claim = f"has several configurations: {', '.join(known)}"
        return fail(InputError, "OL205", claim, place=place, hint=f"name one with `name: {known[0]}`")
    if config and "BuilderConfig" in said:
        return _none("configuration", config, known, place)
    hint = "name a data set or a folder with Parquet or JSON lines files"
    return fail(InputError, "OL205", "holds no data files that make a split", place=place, hint=hint)
