"""An artifact: an immutable folder named by the digest of its content, with its own description inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from olivelike.digest import Json, JsonObject, canonical_json, files_below
from olivelike.errors import StepError, fail

MANIFEST_NAME = "artifact.json"
MODEL = "model"
LIBRARIES = "custom_operators"
"""The folder inside an artifact that libraries of custom operators lie in."""
PARTS_KIND = "onnx-parts"
"""The kind of a model that lies in several ONNX files, run one after the other: no one of them is the model."""

RENAMED_INPUTS = "renamed_inputs"
"""The note of what inputs that a pass has renamed were called in the workflow's model: new name to first name."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an artifact is; stored as `artifact.json` inside it and so part of its digest.

    Attributes:
        kind: an open set of strings: `onnx`, `onnx-parts`, `hf`, `adapter`, `calibration`, `data`, `script`, ...
        parts: part name to the relative POSIX path of its main file; a plain model has the one part `model`.
        companions: relative names of files that belong to the model but are not it (tokenizer, processor).
        session: runtime session options written by a tuning pass, name to value.
        custom_operators: relative names of custom-operator libraries.
        notes: namespaced JSON (`"pass_name": {...}`), handed on unchanged by a pass that does not know them.
    """

    kind: str
    parts: Mapping[str, str] = field(default_factory=dict)
    companions: tuple[str, ...] = ()
    session: Mapping[str, Json] = field(default_factory=dict)
    custom_operators: tuple[str, ...] = ()
    notes: Mapping[str, Json] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Returns the content of `artifact.json`."""
        return {
            "format": 1,
            "kind": self.kind,
            "parts": dict(self.parts),
            "companions": list(self.companions),
            "session": dict(self.session),
            "custom_operators": list(self.custom_operators),
            "notes": dict(self.notes),
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> Manifest:
        """Reads the content of `artifact.json`."""
        return cls(
            kind=str(value["kind"]),
            parts=cast("dict[str, str]", value.get("parts", {})),
            companions=tuple(cast("list[str]", value.get("companions", []))),
            session=cast("dict[str, Json]", value.get("session", {})),
            custom_operators=tuple(cast("list[str]", value.get("custom_operators", []))),
            notes=cast("dict[str, Json]", value.get("notes", {})),
        )

    def write(self, folder: Path) -> None:
        """Writes `artifact.json` into a folder."""
        (folder / MANIFEST_NAME).write_bytes(canonical_json(self.to_json()))

    @property
    def renamed_inputs(self) -> Mapping[str, str]:
        """What inputs that were renamed were called first, by what they are called now."""
        return cast("Mapping[str, str]", self.notes.get(RENAMED_INPUTS, {}))

    def renaming_inputs(self, names: Mapping[str, str]) -> Manifest:
        """Returns the same manifest of a model whose inputs a pass has renamed: data that name the old ones still feed it.

        >>> once = Manifest("onnx").renaming_inputs({"x": "y"})
        >>> once.renaming_inputs({"y": "z"}).renamed_inputs
        {'z': 'x'}

        Args:
            names: old name to new, all at once.
        """
        if not names:
            return self
        first = self.renamed_inputs
        kept = {new: old for new, old in first.items() if new not in names}
        found = kept | {new: first.get(old, old) for old, new in names.items()}
        return self.noted(**{RENAMED_INPUTS: {new: old for new, old in found.items() if new != old}})

    def noted(self, **notes: Json) -> Manifest:
        """Returns the same manifest with notes added (a pass's name as the key)."""
        return replace(self, notes={**self.notes, **notes})


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact on this machine's disk: read-only files in `folder`, described by `manifest`, named by `digest`."""

    folder: Path
    manifest: Manifest
    digest: str

    @property
    def kind(self) -> str:
        """The kind of thing this is."""
        return self.manifest.kind

    @property
    def model(self) -> Path:
        """The main file of the part `model`, or of the only part there is.

        Raises:
            StepError: OL303, there are several parts and none is called `model`: to take one of them for the whole would be
                to measure or rewrite another model than was asked for.
        """
        parts = self.manifest.parts
        if MODEL not in parts and len(parts) != 1:
            claim = (
                f"an artifact of the kind {self.kind} with the parts {', '.join(parts) or 'none'} is no single model"
            )
            raise fail(StepError, "OL303", claim, hint="put its parts together with compose")
        return self.folder / (parts[MODEL] if MODEL in parts else next(iter(parts.values())))

    @property
    def model_bytes(self) -> int:
        """The bytes that must be shipped for the model to run."""
        return sum(path.stat().st_size for path in self.model_files)

    @property
    def model_files(self) -> tuple[Path, ...]:
        """The files that must be shipped for the model to run: companions and the manifest are no part of it."""
        apart = {MANIFEST_NAME, *self.manifest.companions}
        return tuple(self.folder / name for name in files_below(self.folder) if name not in apart)

    @classmethod
    def read(cls, folder: Path, digest: str) -> Artifact:
        """Opens a folder that holds an `artifact.json`."""
        return cls(folder, Manifest.from_json(json.loads((folder / MANIFEST_NAME).read_bytes())), digest)
