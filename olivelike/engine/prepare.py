"""Preparing a run: the pinned source, the data and the user's scripts go into the store, each by the digest of its content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import cast

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.data import DataSpec, FetchedData
from olivelike.contracts.ports import Fetched
from olivelike.digest import Json, JsonObject, digest_json
from olivelike.errors import InputError, Problem, StoreError
from olivelike.evaluate.sessions.providers import require_providers
from olivelike.plan.model import DataPlan, Plan
from olivelike.sources.closure import script_files
from olivelike.sources.data_files import data_files, stored_config
from olivelike.sources.transform_files import companions, named_files, stored_options
from olivelike.store.port import Absent, Store


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan's inputs, in the store.

    Attributes:
        source: the model.
        revision: what pins it (hub commit, package version).
        data: the plan's data entries with the digests of their files.
    """

    source: Artifact
    revision: Mapping[str, Json]
    data: Mapping[str, DataSpec]


def prepare(plan: Plan, store: Store) -> Prepared:
    """Takes everything that a plan reads into the store.

    Raises:
        InputError: everything that is wrong with the model, the data, the scripts and the target's providers, at once.
    """
    check_target(plan)
    source, revision = _source(plan, store)
    data = {name: _data(entry, plan, source, store) for name, entry in plan.data.items()}
    return Prepared(source, revision, data)


def check_target(plan: Plan) -> None:
    """Checks that the runtime offers the target's providers.

    Raises:
        InputError: OL210, with those it has.
    """
    if plan.target.present:
        require_providers(plan.target)


def check_files(plan: Plan) -> None:
    """Checks everything that a plan reads, without a store: providers, data files, and a model on this machine's disk.

    A model on a hub is not asked for: that would be a download.

    Raises:
        InputError: everything that is wrong, at once.
    """
    problems: list[Problem] = []
    checks: list[Callable[[], object]] = [lambda: check_target(plan)]
    checks += [partial(script_files, plan.folder / name) for metric in plan.metrics for name in metric.scripts]
    checks += [
        partial(_files, entry, plan) for entry in plan.data.values() if not entry.reader().is_remote(entry.config)
    ]
    if plan.model.source.key != "hub":
        checks.append(lambda: _fetched(plan))
    for check in checks:
        try:
            check()
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)


def _fetched(plan: Plan) -> Fetched:
    model = plan.model
    return model.source().fetch(
        model.value, file=model.file, revision=model.revision, folder=plan.folder, offline=plan.run.offline
    )


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
    fetched = _fetched(plan)
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


def _data(entry: DataPlan, plan: Plan, source: Artifact, store: Store) -> DataSpec:
    reader = entry.reader()
    spec = replace(entry.spec, config=stored_config(reader, entry.config))
    found = _files(entry, plan)
    if found.files:
        spec = replace(spec, files=store.ingest(found.files, Manifest("data")).digest, revision=found.revision)
    if entry.prepare:
        spec = replace(spec, prepare={**spec.prepare, "files": _script(plan.folder / entry.prepare, store)})
    if "transform" in spec.prepare:
        spec = replace(spec, prepare={**spec.prepare, **_transform(entry, plan.folder, source, store)})
    return spec


def _files(entry: DataPlan, plan: Plan) -> FetchedData:
    reader = entry.reader()
    if reader.chooses_files:
        return reader.fetch(entry.config, plan.folder, offline=plan.run.offline)
    return FetchedData(data_files(reader, entry.config, plan.folder), {})


def _transform(entry: DataPlan, folder: Path, source: Artifact, store: Store) -> JsonObject:
    """Returns what a named transform's key is made of beside its options: its files by digest, its tools by version."""
    files = companions(source, entry.transform.companions) | named_files(entry.named, folder)
    options = stored_options(cast("JsonObject", entry.spec.prepare["options"]), entry.named)
    digest = store.ingest(files, Manifest("data")).digest if files else ""
    return {"options": options, "files": digest, "tools": {tool: _version(tool) for tool in entry.transform.tools}}


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def _script(path: Path, store: Store) -> str:
    return store.ingest(script_files(path), Manifest("script")).digest
