"""The data reader `hf`: one split of a Hugging Face data set, pinned to a commit, or of a folder that holds one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, cast

from pydantic import BaseModel, Field

from olivelike.contracts.data import Columns, DataReader, FetchedData, ReaderConfig
from olivelike.contracts.extras import need
from olivelike.digest import files_below
from olivelike.errors import InputError, OlivelikeError, fail
from olivelike.sources.arrow import arrow_columns
from olivelike.sources.data_files import stored_names
from olivelike.sources.jsonl import jsonl_columns
from olivelike.sources.parquet import parquet_columns
from olivelike.sources.repository import Repository, commit_of, download, names_at, reached
from olivelike.sources.splits import README, files_of_split

log = logging.getLogger(__name__)

LOCAL = (".", "/", "~", "\\")
READ: Mapping[str, Callable[..., Columns]] = {
    ".parquet": parquet_columns,
    ".arrow": arrow_columns,
    ".jsonl": jsonl_columns,
    ".json": jsonl_columns,
}
CONVERTED = "refs/convert/parquet"
"""The branch in which the Hub keeps a Parquet copy of a data set."""


class HfConfig(ReaderConfig):
    """Configuration of `hf`."""

    hf: Annotated[str, Field(min_length=1)]
    """A data set's name on the Hub (`owner/name`), or a folder: a path that starts with `./`, `../`, `~` or `/`."""
    split: str = ""
    """The split (`test`); needed where there are several."""
    name: str = ""
    """The configuration of a data set that has several."""
    revision: str = ""
    """A branch, tag or commit; without it the newest, which the lock pins."""
    columns: Annotated[tuple[str, ...], Field(examples=[["text", "label"]])] = ()
    """The columns to take; all without it."""


class Hf(DataReader):
    """Reads `{hf: nyu-mll/glue, name: sst2, split: validation}`, or a folder saved by `datasets` (`save_to_disk`).

    Which files make a split is decided by the package `datasets`, by its rules for names and for the head of `README.md`;
    the files (Parquet, JSON lines, Arrow) are then read as the readers `parquet` and `jsonl` read them, so that memory does
    not grow with their size. The commit stands in the lock, the content in every key. `HF_ENDPOINT`, `HF_HOME`,
    `HF_HUB_OFFLINE` and the user's token are respected; offline the cached commit is used. A data set's own Python is never
    downloaded nor run. Data sets in other formats, most of them, have a copy that can be read: `revision:
    refs/convert/parquet`. Columns of pictures and recordings are not read. Needs the extra `data`.
    """

    config: ClassVar[type[BaseModel]] = HfConfig
    brings_labels: ClassVar[bool] = True
    chooses_files: ClassVar[bool] = True
    choosing: ClassVar[frozenset[str]] = frozenset({"split", "name", "revision"})

    def files(self, config: BaseModel) -> tuple[str, ...]:
        """Returns the data set's name, under which its files stand in the store."""
        return (cast("HfConfig", config).hf,)

    def is_remote(self, config: BaseModel) -> bool:
        """Whether it is named and not a folder."""
        return not cast("HfConfig", config).hf.startswith(LOCAL)

    def fetch(self, config: BaseModel, folder: Path, *, offline: bool) -> FetchedData:
        """Finds the files of the split, in a folder or on the Hub.

        Raises:
            InputError: OL204, it cannot be fetched; OL205, no such folder, split or configuration, or files that are not
                read here; OL211, the package `datasets` is not installed.
        """
        need("data", "datasets", "pyarrow", what="reading Hugging Face data sets")
        typed = cast("HfConfig", config)
        stored = stored_names([typed.hf])[typed.hf]
        if self.is_remote(typed):
            return _from_hub(typed, stored, offline)
        path = folder / Path(typed.hf).expanduser()
        if not path.is_dir():
            claim, hint = "there is no such folder", "a data set on the Hub is written owner/name"
            raise fail(InputError, "OL205", claim, place=str(path), hint=hint)
        if typed.revision:
            claim = f"`revision: {typed.revision}` means nothing for a folder"
            raise fail(InputError, "OL112", claim, place=str(path), hint="leave it out")
        names = _readable(files_of_split(path, typed.name, typed.split, str(path)), str(path))
        return FetchedData({f"{stored}/{name}": path / name for name in names}, {})

    def count(self, config: BaseModel, files: Mapping[str, Path]) -> int:
        """Returns the number of samples of the split, in a folder."""
        typed = cast("HfConfig", config)
        folder = files[typed.hf]
        return _columns(folder, files_of_split(folder, typed.name, typed.split, str(folder)), typed.columns).count

    def read(self, config: BaseModel, files: Mapping[str, Path], call: Callable[..., object]) -> Columns:
        """Opens the split's files, which are all that the store holds.

        Raises:
            InputError: OL205, they cannot be read, OL206 (a column that is not there), OL211.
        """
        typed = cast("HfConfig", config)
        folder = files[typed.hf]
        names = [name for name in files_below(folder) if Path(name).suffix in READ and name not in NOT_DATA]
        return _columns(folder, names, typed.columns)


def _columns(folder: Path, names: list[str], columns: Sequence[str]) -> Columns:
    suffix = Path(_readable(names, str(folder))[0]).suffix
    return READ[suffix]([folder / name for name in names], columns)


NOT_DATA = frozenset({"dataset_info.json", "dataset_infos.json", "state.json", "dataset_dict.json"})


def _from_hub(typed: HfConfig, stored: str, offline: bool) -> FetchedData:
    repository = Repository.at(typed.hf, typed.revision, offline=offline, kind="dataset")
    with reached(repository):
        commit = commit_of(repository)
        names = names_at(repository, commit)
        head = (download(repository, commit, [README]) / README).read_bytes() if README in names else b""
    if typed.revision.startswith("refs/convert/"):  # one folder for each configuration, none of which README.md knows
        names, head = [name for name in names if name.startswith(f"{typed.name or 'default'}/")], b""
    place = repository.place
    config = "" if typed.revision.startswith("refs/convert/") else typed.name
    chosen = _readable(files_of_split(dict.fromkeys(names, head), config, typed.split, place), place)
    with reached(repository):
        log.info("fetching %s at %s: %d files", typed.hf, commit, len(chosen))
        folder = download(repository, commit, chosen)
    files = {f"{stored}/{name}": folder / name for name in chosen}
    return FetchedData(files, {"hf": typed.hf, "commit": commit, "asked": typed.revision})


def _readable(names: list[str], place: str) -> list[str]:
    suffixes = {Path(name).suffix for name in names}
    if not names:
        raise _refused("holds no data files", place)
    if len(suffixes) != 1 or not suffixes <= READ.keys():
        raise _refused(f"holds data as {', '.join(sorted(suffixes))}; read are {', '.join(READ)}", place)
    return names


def _refused(claim: str, place: str) -> OlivelikeError:
    hint = f"the Hub keeps a Parquet copy of most data sets: `revision: {CONVERTED}`"
    return fail(InputError, "OL205", claim, place=place, hint=hint)
