"""Preparing a run: the pinned source, the data and the user's scripts go into the store, each by the digest of its content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import cast

from olivelike.contracts.artifact import MANIFEST_NAME, Artifact, Manifest
from olivelike.contracts.data import DataSpec
from olivelike.contracts.metric import TensorInfo
from olivelike.digest import Json, JsonObject, digest_file, digest_json
from olivelike.engine.check import check_inputs, check_kind, entry_files, fetch, parts_folder
from olivelike.engine.origins import Origins
from olivelike.engine.unseen import check_unseen, entry_in, inputs_of
from olivelike.errors import StoreError
from olivelike.plan.model import DataPlan, Plan
from olivelike.sources.closure import script_files
from olivelike.sources.data_files import stored_config
from olivelike.sources.operator_libraries import operator_libraries
from olivelike.sources.transform_files import companions, named_files, stored_options
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
    notes: tuple[str, ...] = ()


def prepare(plan: Plan, store: Store) -> Prepared:
    """Takes everything that a plan reads into the store.

    Raises:
        InputError: everything that `check_inputs` finds; what is wrong with a model that had to be downloaded.
    """
    check_inputs(plan)
    source, revision = _source(plan, store)
    check_kind(plan, source.kind)
    origins = Origins()
    data = {name: _data(entry, plan, source, store, origins) for name, entry in plan.data.items()}
    notes = _check_unseen(plan, data, inputs_of(source), store)
    return Prepared(source, revision, data, origins, notes)


def _check_unseen(
    plan: Plan, data: Mapping[str, DataSpec], inputs: Sequence[TensorInfo], store: Store
) -> tuple[str, ...]:
    """Checks that the data which certify the winner are none that the search sees; returns what is to be told of them.

    What a user's script makes is known by its call: with other arguments, such as a seed, it is taken to make other samples.

    Raises:
        InputError: OL112, they are.
    """
    certifying = {metric.certify: metric.name for metric in plan.metrics if metric.certify}
    if not certifying:
        return ()
    entries = {
        name: entry_in(store, f"data.{name}", spec, plan.data[name].reader())
        for name, spec in data.items()
        if spec.files
    }
    seen = [entry for name, entry in entries.items() if name not in certifying]
    notes: list[str] = []
    for unseen, metric in certifying.items():
        if unseen in entries:
            notes += check_unseen(entries[unseen], seen, store, inputs, f"metrics.{metric}.certify")
    return tuple(notes)


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
    libraries = operator_libraries(model.custom_operators, plan.folder)
    if libraries:
        identity["custom_operators"] = [str(path.resolve()) for path in libraries.values()]
    if parts := parts_folder(plan):  # the same folder is another model to a pass that takes no parts
        described = Path(parts) / MANIFEST_NAME
        identity["parts"] = digest_file(described) if described.is_file() else ""
    key = f"source/{digest_json(identity)}"
    record = store.lookup(key)
    if not isinstance(record, Absent) and _unchanged(record, plan):
        try:
            artifact = store.open(str(record["artifact"]))
            return artifact, cast("Mapping[str, Json]", record["revision"])
        except StoreError:
            store.forget(key)
    fetched = fetch(plan)
    files = {**fetched.files, **libraries}
    manifest = Manifest(
        fetched.kind,
        dict(fetched.parts),
        fetched.companions,
        custom_operators=tuple(libraries),
        notes=dict(fetched.notes),
    )
    artifact = store.ingest(files, manifest)
    store.record(key, _source_record(files, fetched.revision, artifact))
    return artifact, fetched.revision


def _source_record(files: Mapping[str, Path], revision: Mapping[str, Json], artifact: Artifact) -> JsonObject:
    folders = {path.parent for path in files.values()}
    stamps = {str(path): _stamp(path) for path in (*files.values(), *folders)}
    return {"artifact": artifact.digest, "revision": dict(revision), "stamps": stamps}


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


def _data(entry: DataPlan, plan: Plan, source: Artifact, store: Store, origins: Origins) -> DataSpec:
    reader = entry.reader()
    spec = replace(entry.spec, config=stored_config(reader, entry.config))
    found = entry_files(entry, plan)
    if found.files:
        artifact = store.ingest(found.files, Manifest("data"))
        origins.note_data(artifact.folder, entry, plan.folder)
        spec = replace(spec, files=artifact.digest, revision=found.revision)
    if entry.prepare:
        spec = replace(spec, prepare={**spec.prepare, "files": _script(plan.folder / entry.prepare, store, origins)})
    if "transform" in spec.prepare:
        spec = replace(spec, prepare={**spec.prepare, **_transform(entry, plan.folder, source, store)})
    return spec


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


def _script(path: Path, store: Store, origins: Origins) -> str:
    artifact = store.ingest(script_files(path), Manifest("script"))
    origins.note(artifact.folder, path.parent)
    return artifact.digest
