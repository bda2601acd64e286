"""The pass `compose`: the parts of a model as one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from pydantic import Field

from olivelike.contracts.artifact import PARTS_KIND, Artifact, Manifest
from olivelike.contracts.carry import deliver
from olivelike.contracts.passes import Pass, PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.digest import Json
from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.defects import defects
from olivelike.onnxfile.read import read_structure
from olivelike_passes.graph.joining import Joined, Part, in_order, read_part, unfit

if TYPE_CHECKING:
    from onnx import ModelProto

SPLIT = "split"
"""The note in which `split` says what the whole model took and gave."""


class ComposeConfig(PassConfig):
    """What `compose` gives out."""

    outputs: tuple[str, ...] = Field(default=(), examples=[["logits"]])
    """The model's outputs, in order. Empty: those that the model had before `split`; of parts made otherwise, what no later
    part takes."""


class Compose(Pass[ComposeConfig]):
    """Puts the parts of a model together again.

    What it does:
        Joins the parts, each behind those whose outputs it takes: an input that another part has among its outputs is that
        value, every other is an input of the whole. Weights and constants that several parts hold under one name with the
        same content are held once; where names collide otherwise, those of the later part get its name in front (`part1/`).
        Nothing is computed anew: `split` and `compose` give the model back.

    When to use it:
        Behind `split`, to measure or ship the whole; or first, on a folder with the parts: one that `split` filled, or any
        whose `.onnx` files take by name what others give.

    Limits:
        Takes the kind `onnx-parts`. Refused: parts in different operator sets, values whose types or shapes do not match
        where they meet, an output that two parts make, parts that take from each other in a circle.

    Example:
        ```yaml
        passes:
          - split: {parts: 2}
          - compose: {}
        ```
    """

    name = "compose"
    config = ComposeConfig
    accepts = frozenset({PARTS_KIND})
    scope = "whole"
    tools: ClassVar[tuple[str, ...]] = ("onnx",)
    lossless = True

    def refuses(self, source: Artifact, config: ComposeConfig, target: Target) -> Sequence[str]:
        """Refuses broken parts and those that do not fit each other."""
        del target
        models = _models(source)
        broken = [f"{name}: {reason}" for name, model in models.items() for reason in defects(model)]
        if broken:
            return broken
        made = {entry.name for model in models.values() for entry in model.graph.output}
        wanted = config.outputs or _ends(source, "outputs")
        missing = [f"no part gives the output {name!r}" for name in wanted if name not in made]
        return [*unfit(models), *missing]

    def run(self, source: Artifact, out: Path, config: ComposeConfig, context: PassContext) -> Manifest:
        """Joins the parts; their external data are streamed from where they lie."""
        del context
        order = in_order(_models(source))
        parts = [read_part(source, name) for name in order]
        joined = Joined()
        for part in parts:
            joined.add(part)
        model = joined.model(_ends(source, "inputs"), config.outputs or _ends(source, "outputs") or _left(parts))
        notes: dict[str, Json] = {name: note for name, note in source.manifest.notes.items() if name != SPLIT}
        whole = replace(source, manifest=replace(source.manifest, notes=notes))
        return deliver(whole, out, _sound(model), beside=source.folder / "model.onnx").noted(
            compose={"parts": [*order]}
        )


def _models(source: Artifact) -> dict[str, ModelProto]:
    """Returns the parts' structures, by name, in an order in which they run."""
    models = {name: read_structure(source.folder / file) for name, file in source.manifest.parts.items()}
    return {name: models[name] for name in in_order(models)}


def _ends(source: Artifact, which: str) -> tuple[str, ...]:
    """Returns the inputs or outputs that the model had before it was split; nothing where no note says so."""
    note = source.manifest.notes.get(SPLIT)
    names = note.get(which) if isinstance(note, dict) else None
    return tuple(cast("list[str]", names)) if isinstance(names, list) else ()


def _left(parts: Sequence[Part]) -> tuple[str, ...]:
    taken = {name for part in parts for name in part.inputs}
    return tuple(name for part in parts for name in part.outputs if name not in taken)


def _sound(model: ModelProto) -> ModelProto:
    if found := defects(model):
        raise fail(RefusedError, "OL301", f"the parts do not make a model: {found[0]}")
    return model
