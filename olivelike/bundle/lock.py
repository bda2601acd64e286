"""The lock: everything that reproduces a deliverable, written beside it as `olivelike.lock.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import cast

from olivelike.contracts.recipe import Recipe, RecipeStep
from olivelike.contracts.space import Limits
from olivelike.digest import Json, JsonObject
from olivelike.errors import InputError, fail

LOCK_NAME = "olivelike.lock.json"
SHAPES = {
    **dict.fromkeys(("workflow", "revision", "data", "versions", "machine"), dict),
    **dict.fromkeys(("steps", "files"), list),
    **dict.fromkeys(("folder", "source", "output"), str),
}
"""What kind of JSON value stands under each key of a lock."""
VERSIONS = ("olivelike", "onnx", "onnx-ir", "onnxruntime", "numpy", "torch", "transformers", "onnxscript")


@dataclass(frozen=True, slots=True)
class Lock:
    """What a deliverable was made of.

    Attributes:
        workflow: the workflow as JSON, as it was resolved.
        folder: where its relative paths start, relative to the lock's own folder where that is possible.
        revision: what pins the source (hub commit, package version).
        source: digest of the source artifact.
        steps: the recipe.
        data: data entry to the digest of its files.
        data_revisions: data entry to what pins its files, where they were fetched (hub commit).
        data_contents: data entry to the digests of its files' content, whatever they are called.
        output: digest of the deliverable.
        versions: distribution to installed version.
        machine: where it was made.
        files: everything that the bundle holds beside the lock, relative to it.
    """

    workflow: Mapping[str, Json]
    folder: str
    revision: Mapping[str, Json]
    source: str
    steps: tuple[RecipeStep, ...]
    data: Mapping[str, str]
    output: str
    versions: Mapping[str, str]
    machine: Mapping[str, Json]
    files: tuple[str, ...] = ()
    data_revisions: Mapping[str, Json] = field(default_factory=dict)
    data_contents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def recipe(self) -> Recipe:
        """The chain of steps that made the deliverable."""
        return Recipe(self.steps)

    def to_json(self) -> JsonObject:
        """Returns the content of the lock file."""
        return {
            "format": 1,
            "workflow": dict(self.workflow),
            "folder": self.folder,
            "revision": dict(self.revision),
            "source": f"sha256:{self.source}",
            "steps": [{**step.to_json(), "verify": step.verify} for step in self.steps],
            "data": {name: f"sha256:{digest}" for name, digest in self.data.items()},
            "data_revisions": dict(self.data_revisions),
            "data_contents": {
                name: [f"sha256:{digest}" for digest in digests] for name, digests in self.data_contents.items()
            },
            "output": f"sha256:{self.output}",
            "versions": dict(self.versions),
            "machine": dict(self.machine),
            "files": list(self.files),
        }


def read_lock(path: Path) -> Lock:
    """Reads a lock file.

    Raises:
        InputError: OL118, the file is missing or is no lock of olivelike's.
    """
    try:
        value = cast("JsonObject", json.loads(path.read_text(encoding="utf-8")))
        for key in SHAPES:  # what is missing is said before what is of the wrong shape
            value[key]
        for key, kind in SHAPES.items():
            if not isinstance(value[key], kind):
                raise TypeError(f"{key} is {type(value[key]).__name__}")
        if value["format"] != 1:
            raise fail(InputError, "OL118", f"the lock has format {value['format']}, known is 1", place=str(path))
        steps = tuple(_step(step) for step in cast("list[JsonObject]", value["steps"]))
        return Lock(
            workflow=cast("dict[str, Json]", value["workflow"]),
            folder=str(value["folder"]),
            revision=cast("dict[str, Json]", value["revision"]),
            source=_hex(value["source"]),
            steps=steps,
            data={name: _hex(digest) for name, digest in cast("dict[str, Json]", value["data"]).items()},
            output=_hex(value["output"]),
            versions=cast("dict[str, str]", value["versions"]),
            machine=cast("dict[str, Json]", value["machine"]),
            files=tuple(map(str, cast("list[Json]", value["files"]))),
            data_revisions=cast("dict[str, Json]", value.get("data_revisions", {})),
            data_contents={
                name: tuple(map(_hex, digests))
                for name, digests in cast("dict[str, list[Json]]", value.get("data_contents", {})).items()
            },
        )
    except OSError as error:
        claim = f"the lock cannot be read: {error.strerror or error}"
        raise fail(InputError, "OL118", claim, place=str(path), hint="check the path") from error
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        what = f"`{error.args[0]}` is missing" if isinstance(error, KeyError) else str(error)
        claim = f"this is no lock of olivelike's: {what}"
        raise fail(InputError, "OL118", claim, place=str(path), hint=f"name the {LOCK_NAME} of a bundle") from error


def installed_versions() -> dict[str, str]:
    """Returns the installed versions of everything that shapes a model, by distribution."""
    found = {}
    for name in VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def differences(
    lock: Lock, source: str, data: Mapping[str, str], output: str, versions: Mapping[str, str]
) -> Sequence[str]:
    """Returns what differs between a lock and what was found or rebuilt, one line each; empty when all is the same."""
    return tuple(_differences(lock, source, data, output, versions))


def _differences(
    lock: Lock, source: str, data: Mapping[str, str], output: str, versions: Mapping[str, str]
) -> Iterator[str]:
    if source != lock.source:
        yield f"the source model changed: sha256:{lock.source[:12]} -> sha256:{source[:12]}"
    for name in sorted(lock.data.keys() | data.keys()):
        if lock.data.get(name) != data.get(name):
            yield f"the data entry {name} changed"
    for name in sorted(lock.versions.keys() | versions.keys()):
        before, after = lock.versions.get(name, "not installed"), versions.get(name, "not installed")
        if before != after:
            yield f"{name} {before} -> {after}"
    if output != lock.output:
        yield f"the model differs: sha256:{lock.output[:12]} -> sha256:{output[:12]}"


def _step(value: JsonObject) -> RecipeStep:
    config = cast("dict[str, Json]", value["config"])
    return RecipeStep(str(value["name"]), str(value["pass"]), config, str(value["verify"]), Limits())


def _hex(value: Json) -> str:
    return str(value).removeprefix("sha256:")
