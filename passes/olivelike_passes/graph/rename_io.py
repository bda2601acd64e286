"""The pass `rename_io`: inputs, outputs and dynamic dimensions get the names that a runtime or a program asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, model_validator

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.passes import PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.errors import nearest
from olivelike.onnxfile.read import read_structure
from olivelike.onnxfile.wiring import rename_values
from olivelike_passes.graph.dim_formulas import renamed, words
from olivelike_passes.graph.dimensions import stated_shapes
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.graph.patterns import by_name, filling, matching_none
from olivelike_passes.graph.scopes import make_way

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import ModelProto

TRAINING = "the model holds training graphs, which name values of the main graph in places that no pass here follows"


def _pairs(names: Mapping[str, str]) -> Mapping[str, str]:
    for old, new in names.items():
        if not old or not new:
            raise ValueError(f"{old!r} to {new!r}: a name cannot be empty")
        if old.count("*") > 1 or new.count("*") > old.count("*"):
            raise ValueError(f"{old!r} to {new!r}: one * may stand in the old name, and then one in the new")
    return names


Renamed = Annotated[dict[str, str], AfterValidator(_pairs)]


class RenameIoConfig(PassConfig):
    """What `rename_io` renames."""

    names: Renamed = Field(default_factory=dict)
    """Inputs and outputs, old name to new. One `*` on both sides stands for the same text: `past_key_values.*: past.*`.
    A whole name goes before a pattern, an earlier pattern before a later one."""
    dims: dict[str, str] = Field(default_factory=dict)
    """Named dynamic dimensions, old name to new (`s0: batch`); also where they stand in a formula (`s0 + s1`)."""

    @model_validator(mode="after")
    def _asks_for_something(self) -> RenameIoConfig:
        if not self.names and not self.dims:
            raise ValueError("nothing to rename: give names or dims")
        return self


class RenameIo(GraphPass[RenameIoConfig]):
    """Gives inputs, outputs and dynamic dimensions other names.

    What it does:
        Renames them everywhere in the model, all at once (two may trade names), in branches and loops that read them too.
        Inner values that already have a new name get another one. Numbers, shapes and the order stay.

    When to use it:
        Last, where the program that loads the model, a generation loop or another exporter's tool asks for certain names.

    Limits:
        Refuses names that the model does not have, two ends of one name, and a new dimension name that another dimension
        has (it would say that both are equal). An output that is an input is one value and has one name. Data still name the
        inputs of the workflow's own model and feed the renamed ones. Metrics and `postprocess` that name outputs must know
        the new names.

    Example:
        ```yaml
        passes:
          - rename_io:
              names: {input_ids: tokens, "past_key_values.*": "past.*"}
              dims: {s0: batch}
        ```
    """

    name = "rename_io"
    config = RenameIoConfig

    def unsuitable(self, model: ModelProto, config: RenameIoConfig, target: Target) -> Sequence[str]:
        """Refuses unknown names, and names that would mean two things."""
        found = [TRAINING] if model.training_info else []
        return [*found, *_name_problems(model, config), *_dim_problems(model, config)]

    def run(self, source: Artifact, out: Path, config: RenameIoConfig, context: PassContext) -> Manifest:
        """Renames, and notes what inputs were called: data that the workflow names for them still feed them."""
        model = read_structure(source.model)
        inputs = {entry.name for entry in model.graph.input}
        names = _new_names(_ends(model), config.names)
        changed = {old: new for old, new in names.items() if old != new and old in inputs}
        return super().run(source, out, config, context).renaming_inputs(changed)

    def rewrite(self, model: ModelProto, source: Artifact, config: RenameIoConfig, context: PassContext) -> Rewritten:
        """Renames what was asked for, and what stands in the way of it."""
        names = _new_names(_ends(model), config.names)
        changed = {old: new for old, new in names.items() if old != new}
        inner = make_way(model, changed.values(), keeping=set(names))
        rename_values(model.graph, changed | inner)
        for shape in stated_shapes(model):
            for dim in shape.dim:
                if dim.dim_param:
                    dim.dim_param = renamed(dim.dim_param, config.dims)
        return Rewritten(model, {"names": dict(changed), "made_way": dict(inner), "dims": dict(config.dims)})


def _name_problems(model: ModelProto, config: RenameIoConfig) -> list[str]:
    ends = _ends(model)
    unknown = matching_none(config.names, ends)
    found = [f"the model has no input or output {old!r}; {nearest(old, ends)}" for old in unknown]
    counts = Counter(_new_names(ends, config.names).values())
    return found + [
        f"{count} inputs or outputs would be called {name!r}" for name, count in counts.items() if count > 1
    ]


def _dim_problems(model: ModelProto, config: RenameIoConfig) -> list[str]:
    known = dict.fromkeys(
        word
        for shape in stated_shapes(model)
        for dim in shape.dim
        for word in [dim.dim_param, *words(dim.dim_param)]
        if word
    )
    found = [f"the model has no dimension {old!r}; {nearest(old, known)}" for old in config.dims if old not in known]
    counts = Counter({name: config.dims.get(name, name) for name in known}.values())
    taken = [name for name, count in counts.items() if count > 1]
    return found + [f"{counts[name]} dimensions would be called {name!r}, as if they were equal" for name in taken]


def _ends(model: ModelProto) -> list[str]:
    return list(dict.fromkeys(entry.name for entry in (*model.graph.input, *model.graph.output)))


def _new_names(ends: Sequence[str], names: Mapping[str, str]) -> dict[str, str]:
    """Returns the name that each input or output is to have, those that keep theirs too."""
    patterns = by_name({old: old for old in names}, ends)
    texts = {end: filling(old, end)[0] for end, old in patterns.items()}
    return {end: names[patterns[end]].replace("*", texts[end]) if end in patterns else end for end in ends}
