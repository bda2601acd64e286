"""Rewrites of what a model says of its ends: the names of dimensions and of inputs. No node computes anything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import AliasChoices, Field, model_validator

from olivelike.onnxfile.wiring import rename_reads
from olivelike_passes.surgery.opened import Opened
from olivelike_passes.surgery.rewrite import Found, Parameters, Rewrite

if TYPE_CHECKING:
    from onnx import ValueInfoProto


class InputDim(Parameters):
    """Which dimension of which input gets which name."""

    input: str | int = Field(validation_alias=AliasChoices("input", "input_name", "input_idx"))
    """The input, by its name or its place (0 is the first)."""
    dim: int = Field(validation_alias=AliasChoices("dim", "dim_idx"))
    """The place of the dimension; -1 is the last."""
    name: str = Field(min_length=1, validation_alias=AliasChoices("name", "dim_name"))
    """Its new name."""


class OutputDim(Parameters):
    """Which dimension of which output gets which name."""

    output: str | int = Field(validation_alias=AliasChoices("output", "output_name", "output_idx"))
    """The output, by its name or its place (0 is the first)."""
    dim: int = Field(validation_alias=AliasChoices("dim", "dim_idx"))
    """The place of the dimension; -1 is the last."""
    name: str = Field(min_length=1, validation_alias=AliasChoices("name", "dim_name"))
    """Its new name."""


class InputNames(Parameters):
    """Which inputs are to be called what."""

    names: dict[str, str] = Field(min_length=1)
    """The new name of each input by its old one. Olive's two lists `old_names` and `new_names` are taken, too."""

    @model_validator(mode="before")
    @classmethod
    def _from_lists(cls, given: object) -> object:
        if not isinstance(given, Mapping) or set(given) != {"old_names", "new_names"}:
            return given
        old, new = given["old_names"], given["new_names"]
        if not isinstance(old, Sequence) or not isinstance(new, Sequence) or len(old) != len(new):
            raise ValueError(f"old_names and new_names are lists of one length, got {old!r} and {new!r}")
        return {"names": dict(zip(old, new, strict=True))}


def rename_input_dims(opened: Opened, parameters: InputDim) -> Found:
    """Gives a dimension of an input a name.

    Pattern: an input with a shape that has this dimension. Result: the same graph; the dimension has the name, in place of
    the number, the name or nothing that it had, and so may be of any size. Other inputs, outputs and inner values keep what
    they say. No number changes.
    """
    return _rename_dim(
        opened, list(opened.model.graph.input), "input", parameters.input, parameters.dim, parameters.name
    )


def rename_output_dims(opened: Opened, parameters: OutputDim) -> Found:
    """Gives a dimension of an output a name.

    Pattern: an output with a shape that has this dimension. Result: the same graph; the dimension has the name, in place of
    the number, the name or nothing that it had. Nothing else changes.
    """
    entries = list(opened.model.graph.output)
    return _rename_dim(opened, entries, "output", parameters.output, parameters.dim, parameters.name)


def rename_inputs(opened: Opened, parameters: InputNames) -> Found:
    """Renames inputs, and all that reads them, in branches and loops too.

    Pattern: inputs of the old names. Result: the same graph over the new names; an output that is such an input keeps its
    name, through an `Identity`. Refuses a new name that another value has. No number changes.
    """
    graph = opened.model.graph
    wanted = {old: new for old, new in parameters.names.items() if old != new}
    entries = {entry.name: entry for entry in graph.input}
    for old, new in wanted.items():
        if old not in entries:
            raise opened.refuse(f"step rename_inputs: there is no input {old!r}", f"inputs: {', '.join(entries)}")
        taken = (new in opened.names and new not in wanted) or opened.main.is_hidden(new)
        if taken or list(wanted.values()).count(new) > 1:
            raise opened.refuse(f"step rename_inputs: {old!r} cannot be called {new!r}: another value is")
    for node in graph.node:
        rename_reads(node, wanted)
    for old, new in wanted.items():
        entries[old].name = new
        opened.names.take(new)
    for tensor in graph.initializer:
        tensor.name = wanted.get(tensor.name, tensor.name)
    for annotation in graph.quantization_annotation:
        annotation.tensor_name = wanted.get(annotation.tensor_name, annotation.tensor_name)
    for output in graph.output:
        if output.name in wanted:
            graph.node.append(opened.node("Identity", [wanted[output.name]], [output.name], output.name))
    opened.look()
    return len(wanted)


def _rename_dim(
    opened: Opened, entries: Sequence[ValueInfoProto], end: str, which: str | int, dim: int, name: str
) -> Found:
    step = f"step rename_{end}_dims"
    names = [entry.name for entry in entries]
    if isinstance(which, str) and which in names:
        entry = entries[names.index(which)]
    elif isinstance(which, int) and 0 <= which < len(entries):
        entry = entries[which]
    else:
        raise opened.refuse(f"{step}: there is no {end} {which!r}", f"{end}s: {', '.join(names)}")
    kind = entry.type.tensor_type
    if not kind.HasField("shape"):
        raise opened.refuse(f"{step}: the {end} {entry.name!r} has no shape")
    rank = len(kind.shape.dim)
    if not -rank <= dim < rank:
        raise opened.refuse(f"{step}: the {end} {entry.name!r} has {rank} dimensions, and none is number {dim}")
    kind.shape.dim[dim % rank].dim_param = name
    return 1


REWRITES = (
    Rewrite("rename_input_dims", "RenameInputDims", rename_input_dims, "such input", InputDim),
    Rewrite("rename_output_dims", "RenameOutputDims", rename_output_dims, "such output", OutputDim),
    Rewrite("rename_inputs", "RenameInputs", rename_inputs, "input to rename", InputNames),
)
