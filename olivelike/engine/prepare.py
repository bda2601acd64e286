"""Preparing a run: the pinned source, the data and the user's scripts go into the store, each by the digest of its content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.data import DataSpec
from olivelike.contracts.ports import Fetched
from olivelike.digest import Json, JsonObject, digest_json
from olivelike.engine.check import check_inputs, check_kind, fetch
from olivelike.engine.origins import Origins
from olivelike.errors import InputError, StoreError, fail
from olivelike.plan.model import DataPlan, Plan
from olivelike.sources.closure import script_files
from olivelike.sources.data_files import data_files, stored_config
from olivelike.store.port import Absent, Store


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan's inputs, in the store.

    Attributes:
        source: the model.
        revision: what pins it (hub commit, package version).
        data: the plan's data entries with the digests of their files.
        origins: where those files were taken from.
    """

    source: Artifact
    revision: Mapping[str, Json]
    data: Mapping[str, DataSpec]
    origins: Origins


def prepare(plan: Plan, store: Store) -> Prepared:
    """Takes everything that a plan reads into the store.

    Raises:
        InputError: everything that `check_inputs` finds; what is wrong with a model that had to be downloaded.
    """
    check_inputs(plan)
    source, revision = _source(plan, store)
    check_kind(plan, source.kind)
    _check_unseen(plan, store)
    origins = Origins()
    data = {name: _data(entry, plan.folder, store, origins) for name, entry in plan.data.items()}
    return Prepared(source, revision, data, origins)


def _check_unseen(plan: Plan, store: Store) -> None:
    """Checks that the data which certify the winner hold no file, under whatever name, that the search sees.

    Raises:
        InputError: OL112, they do.
    """
    certifying = {metric.certify: metric.name for metric in plan.metrics if metric.certify}
    contents = {name: _contents(entry, plan.folder, store) for name, entry in plan.data.items()} if certifying else {}
    for unseen, metric in certifying.items():
        twins = [name for name, files in contents.items() if name not in certifying and files & contents[unseen]]
        if twins:
            claim = f"the data entries {unseen} and {twins[0]} hold the same file: the search has seen it"
            path = f"metrics.{metric}.certify"
            raise fail(InputError, "OL112", claim, path=path, hint="keep samples apart that the search does not see")


def _contents(entry: DataPlan, folder: Path, store: Store) -> frozenset[str]:
    return frozenset(store.digest_of(path) for path in data_files(entry.reader(), entry.config, folder).values())


def _source(plan: Plan, store: Store) -> tuple[Artifact, Mapping[str, Json]]:
    """Fetches the model, or takes it from the store where none of its files has changed since."""
    model = plan.model
    identity: JsonObject = {
        "source": model.source.key,
        "value": model.value,
        "file": model.file,
        "revision": model.revision,
        "folder": str(plan.folder.resolve()),
    }
    key = f"source/{digest_json(identity)}"
    record = store.lookup(key)
    if not isinstance(record, Absent) and _unchanged(record, plan):
        try:
            artifact = store.open(str(record["artifact"]))
            return artifact, cast("Mapping[str, Json]", record["revision"])
        except StoreError:
            store.forget(key)
    fetched = fetch(plan)
    artifact = store.ingest(fetched.files, Manifest(fetched.kind, dict(fetched.parts), fetched.companions))
    store.record(key, _source_record(fetched, artifact))
    return artifact, fetched.revision


def _source_record(fetched: Fetched, artifact: Artifact) -> JsonObject:
    folders = {path.parent for path in fetched.files.values()}
    stamps = {str(path): _stamp(path) for path in (*fetched.files.values(), *folders)}
    return {"artifact": artifact.digest, "revision": dict(fetched.revision), "stamps": stamps}


def _unchanged(record: JsonObject, plan: Plan) -> bool:
    """Whether every file and folder that a source was made of is as it was; a hub's branch may move and is always asked."""
    if plan.model.source.key == "hub" and not plan.run.offline:
        return False
    stamps = cast("Mapping[str, Json]", record["stamps"])
    return all(Path(path).exists() and _stamp(Path(path)) == stamp for path, stamp in stamps.items())


def _stamp(path: Path) -> list[int]:
    """Returns what changes when a file's content does. A folder's own stamp tells of files that came or went."""
    status = path.stat()
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _data(entry: DataPlan, folder: Path, store: Store, origins: Origins) -> DataSpec:
    reader = entry.reader()
    spec = replace(entry.spec, config=stored_config(reader, entry.config))
    files = data_files(reader, entry.config, folder)
    if files:
        artifact = store.ingest(files, Manifest("data"))
        origins.note_data(artifact.folder, entry, folder)
        spec = replace(spec, files=artifact.digest)
    if entry.prepare:
        spec = replace(spec, prepare={**spec.prepare, "files": _script(folder / entry.prepare, store, origins)})
    return spec


def _script(path: Path, store: Store, origins: Origins) -> str:
    artifact = store.ingest(script_files(path), Manifest("script"))
    origins.note(artifact.folder, path.parent)
    return artifact.digest
