"""Has the search seen the samples that certify? Told by the content of files, and of small ones by that of the samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from olivelike.contracts.artifact import MANIFEST_NAME, Artifact
from olivelike.contracts.data import Column, Columns, DataReader, DataSpec
from olivelike.contracts.metric import TensorInfo
from olivelike.digest import Json, JsonObject, digest_json, files_below
from olivelike.engine.check import CHEAP
from olivelike.errors import InputError, OlivelikeError, fail
from olivelike.onnxfile.read import signature
from olivelike.sources.dataset import drawn, no_call
from olivelike.sources.mapping import label_column
from olivelike.sources.script import Script
from olivelike.store.port import Absent, Store

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

CERTIFIES_ONLY = ("certification",)
MOST_SHARED = 0.5
"""So large a share of samples that were seen is refused; a smaller one is told, as samples may be alike by chance."""
WAY = 1
"""Counts up when samples are compared in another way, so that no count of the old one is used."""
LIKE_LABELS = frozenset({"label", "labels"})


@dataclass(frozen=True, slots=True)
class Entry:
    """A data entry whose files are in the store.

    Attributes:
        told: what the user knows it as: `data.test`, `--data fresh.npz`.
        spec: how it is read; paths are names in `files`.
        reader: reads it.
        files: its files.
        contents: the digests of these files' content, whatever they are called.
    """

    told: str
    spec: DataSpec
    reader: DataReader
    files: Artifact
    contents: frozenset[str]


def contents_of(files: Artifact, store: Store) -> frozenset[str]:
    """Returns the digests of the content of an artifact's files."""
    names = set(files_below(files.folder)) - {MANIFEST_NAME}
    return frozenset(store.digest_of(files.folder / name) for name in names)


def entry_in(store: Store, told: str, spec: DataSpec, reader: DataReader) -> Entry:
    """Returns a data entry by its files in the store; `spec.files` must name them.

    What a user's script makes is known by its call: with other arguments, such as a seed, it is taken to make other samples.
    """
    files = store.open(spec.files)
    contents = contents_of(files, store)
    if isinstance(reader, Script):
        made: JsonObject = {"files": sorted(contents), **{key: spec.config.get(key) for key in ("call", "args")}}
        contents = frozenset({digest_json(made)})
    return Entry(told, spec, reader, files, contents)


def inputs_of(source: Artifact) -> tuple[TensorInfo, ...]:
    """Returns the inputs of a model that is one graph; nothing is known of others."""
    if source.kind != "onnx":
        return ()
    with suppress(OlivelikeError):
        return tuple(TensorInfo(value.name, value.dtype, value.shape) for value in signature(source.model).inputs)
    return ()


def check_unseen(
    fresh: Entry, seen: Iterable[Entry], store: Store, inputs: Sequence[TensorInfo] = (), path: str = ""
) -> tuple[str, ...]:
    """Checks that samples are none that the search has seen, whatever the files are called.

    Files are compared by their content. Samples are where both entries are small enough to be read now (64 MiB as files and
    in memory), by the bytes that a model is fed; one that the seen entry holds more than once tells nothing.

    Args:
        fresh: the samples that certify.
        seen: what the search has seen.
        store: where their files lie.
        inputs: what the model takes; nothing where that is not known.
        path: the place in the workflow, for messages.

    Returns:
        Notes on samples that are shared, where they are too few to refuse.

    Raises:
        InputError: OL112, a file or most of the samples are shared.
    """
    notes = []
    hint = "keep samples apart that the search does not see"
    for entry in seen:
        if fresh.contents & entry.contents:
            claim = f"{fresh.told} and {entry.told} hold the same file: the search has seen it"
            raise fail(InputError, "OL112", claim, path=path, hint=hint)
        shared, count = shared_samples(fresh, entry, store, inputs)
        claim = (
            f"{fresh.told}: {shared:,} of {count:,} samples are among those of {entry.told}, which the search has seen"
        )
        if shared and shared >= MOST_SHARED * count:
            raise fail(InputError, "OL112", claim, path=path, hint=hint)
        if shared:
            notes.append(claim)
    return tuple(notes)


def is_shared(fresh: Entry, other: Entry, store: Store, inputs: Sequence[TensorInfo] = ()) -> bool:
    """Whether two entries hold the same file, or most samples of the first are among those of the second."""
    if fresh.contents & other.contents:
        return True
    shared, count = shared_samples(fresh, other, store, inputs)
    return bool(shared) and shared >= MOST_SHARED * count


def shared_samples(fresh: Entry, seen: Entry, store: Store, inputs: Sequence[TensorInfo]) -> tuple[int, int]:
    """Returns how many samples of one entry are among those of another, and how many it has; 0 of 0 where that costs too much.

    Samples once compared are not read again: the store remembers the counts by the content of both.
    """
    takes: Json = [[info.name, info.dtype, list(info.shape)] for info in inputs]
    pair: JsonObject = {"fresh": fresh.spec.essence(), "seen": seen.spec.essence(), "inputs": takes, "way": WAY}
    key = f"shared/{digest_json(pair)}"
    record = store.lookup(key)
    if not isinstance(record, Absent):
        return int(cast("int", record["shared"])), int(cast("int", record["samples"]))
    shared, count = _compare(fresh, seen, inputs)
    if count:  # where nothing could be compared, it is tried anew: a library may be there by then
        store.record(key, {"shared": shared, "samples": count})
    return shared, count


def _compare(fresh: Entry, seen: Entry, inputs: Sequence[TensorInfo]) -> tuple[int, int]:
    mine, theirs = _columns(fresh, inputs), _columns(seen, inputs)
    names = _compared(mine, theirs, inputs, prepared=bool(fresh.spec.prepare or seen.spec.prepare))
    if not names:
        return 0, 0
    types = {info.name: info.dtype for info in inputs}
    once = {sample for sample, times in Counter(_samples(theirs, names, types, seen.spec)).items() if times == 1}
    own = list(_samples(mine, names, types, fresh.spec))
    return sum(sample in once for sample in own), len(own)


def _columns(entry: Entry, inputs: Sequence[TensorInfo]) -> Mapping[str, Column]:
    """Returns an entry's columns without its labels, by the input that each feeds; none where reading them costs too much."""
    reader, spec, folder = entry.reader, entry.spec, entry.files.folder
    if isinstance(reader, Script) or not reader.reads_files:
        return {}
    if sum((folder / name).stat().st_size for name in files_below(folder)) > CHEAP:
        return {}
    with suppress(OlivelikeError):  # what is wrong with the files is said by who needs them
        config = reader.config.model_validate(spec.config)
        columns = reader.read(config, {name: folder / name for name in reader.files(config)}, no_call)
        names = _named(spec, columns, inputs)
        if all(_bytes(columns.arrays[column]) <= CHEAP for column in names.values()):
            return {name: columns.arrays[column] for name, column in names.items()}
    return {}


def _named(spec: DataSpec, columns: Columns, inputs: Sequence[TensorInfo]) -> dict[str, str]:
    """Returns which column feeds what, by the input's name; by its own where the columns are prepared first."""
    if spec.prepare or not inputs:
        return {name: name for name in columns.arrays if name not in LIKE_LABELS | {spec.labels}}
    label = label_column(spec.labels, list(columns.arrays), inputs, f"data.{spec.name}")
    fed = spec.inputs or {name: name for name in columns.arrays if name != label}
    return {name: column for name, column in fed.items() if column in columns.arrays}


def _compared(
    mine: Mapping[str, Column], theirs: Mapping[str, Column], inputs: Sequence[TensorInfo], *, prepared: bool
) -> list[str]:
    both = sorted(mine.keys() & theirs.keys())
    if prepared or not inputs:
        return both
    names = [info.name for info in inputs]
    return names if set(names) <= set(both) else []


def _bytes(column: Column) -> int:
    import numpy as np

    return int(sum(row.nbytes for row in map(np.asarray, column[np.arange(min(len(column), 1))]))) * len(column)


def _samples(
    columns: Mapping[str, Column], names: Sequence[str], types: Mapping[str, str], spec: DataSpec
) -> Iterator[tuple[bytes, ...]]:
    """Yields the content of each sample that an entry draws."""
    order = drawn(spec, min(len(columns[name]) for name in names))
    return zip(*(map(_content_as(types.get(name, "")), columns[name][order]) for name in names), strict=True)


def _content_as(dtype: str) -> Callable[[Array], bytes]:
    import numpy as np

    def content(row: Array) -> bytes:
        values = np.asarray(row)
        if values.dtype.kind in "OUS":
            return repr(values.tolist()).encode()
        return values.astype(np.dtype(dtype)).tobytes() if dtype in np.sctypeDict else values.tobytes()

    return content


def file_contents(data: Mapping[str, DataSpec], store: Store) -> dict[str, tuple[str, ...]]:
    """Returns the digests of the files of data entries that have any, for the lock."""
    return {
        name: tuple(sorted(contents_of(store.open(spec.files), store))) for name, spec in data.items() if spec.files
    }
