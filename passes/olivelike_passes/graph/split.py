"""The pass `split`: one model as several that run one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, assert_never

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from olivelike.contracts.artifact import PARTS_KIND, Artifact, Manifest
from olivelike.contracts.carry import deliver_parts
from olivelike.contracts.passes import Pass, PassConfig, PassContext, Reads
from olivelike.contracts.target import Target
from olivelike.contracts.units import UnitError, size
from olivelike.digest import Json, JsonObject
from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.defects import defects
from olivelike.onnxfile.read import read_structure, signature_of
from olivelike.onnxfile.sizes import byte_count
from olivelike.onnxfile.walk import tensors
from olivelike.onnxfile.wiring import put_in_order
from olivelike_passes.graph.assignment import assigned
from olivelike_passes.graph.chain import Chain, chain_of
from olivelike_passes.graph.cuts import Groups, at_values, by_bytes, by_provider, into_equal
from olivelike_passes.graph.cutting import cut_out, needs
from olivelike_passes.graph.value_types import ValueTypes
from olivelike_passes.naming import name_nodes

if TYPE_CHECKING:
    from onnx import ModelProto

PLAN = "split_plan"
"""The note that a plan stands in: a list with, for each cut, a value's or a node's name, or a list of them."""


def _bytes(written: object) -> object:
    if not isinstance(written, str):
        return written
    try:
        return int(size(written))
    except UnitError as error:
        raise ValueError(f"{error}; {error.hint}") from error


Size = Annotated[
    int,
    BeforeValidator(_bytes),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}]}, mode="validation"),
]


class SplitConfig(PassConfig):
    """Where `split` cuts."""

    by: Literal["layer", "size", "nodes", "plan", "provider"] = "layer"
    """`layer`: into `parts` parts of about equally many nodes. `size`: into parts of at most `size` bytes of weights. `nodes`:
    behind the values in `at`. `plan`: as the note `split_plan` of an earlier pass says. `provider`: where the runtime goes on
    with another of the target's execution providers."""
    parts: int = Field(default=2, ge=2)
    """For `layer`: how many parts."""
    size: Size = Field(default=0, ge=0, examples=["500MB"])
    """For `size`: the most bytes of weights in one part, as a number or with a unit (`500MB`, `1 GiB`)."""
    at: tuple[str, ...] = Field(default=(), examples=[["/layer.5/output"]])
    """For `nodes`: for each cut the value (or the node, by name) that the part before it ends with."""

    @model_validator(mode="after")
    def _check(self) -> SplitConfig:
        if self.by == "size" and not self.size:
            raise ValueError("`by: size` takes `size`, the most bytes of weights in one part")
        if self.by == "nodes" and not self.at:
            raise ValueError("`by: nodes` takes `at`, the values to cut at")
        return self


class Split(Pass[SplitConfig]):
    """Cuts a model into parts that run one after the other.

    What it does:
        Makes an artifact of the kind `onnx-parts`: `part0.onnx`, `part1.onnx`, ... in the order in which they run
        (`part00.onnx`, ... where there are more than ten). A part's inputs are the model's own and what earlier parts give,
        under their names; the notes list them. By layer and by size, a cut moves by up to a quarter of a part to where the
        fewest bytes cross (dynamic dimensions taken as 1). A weight that several parts read lies in each; what is computed
        from weights alone is computed where it is read.

    When to use it:
        Where a model does not fit a device, a file or a download as a whole, or where its halves run on different devices.
        `compose` makes one model of the parts again.

    Limits:
        No part is the model: metrics that run a model do not measure the parts, `size` adds them up, and other passes do not
        take them. Measure first, or `compose` behind. Branches and loops stay whole. A weight that may be replaced at run
        time, where several parts read it, is to be replaced in each. `by: provider` needs the target's providers on this
        machine, and a runtime that tells which nodes they take.

    Example:
        ```yaml
        passes:
          - simplify: {}
          - split: {parts: 3}
        ```
    """

    name = "split"
    config = SplitConfig
    produces = PARTS_KIND
    reads = frozenset({Reads.TARGET})
    tools: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime")
    lossless = True

    def refuses(self, source: Artifact, config: SplitConfig, target: Target) -> Sequence[str]:
        """Refuses broken models, and those that one part holds."""
        model = read_structure(source.model)
        if found := defects(model):
            return found
        if model.training_info:
            return ["the model holds training graphs, which belong to it as a whole"]
        total = sum(map(byte_count, tensors(model)))
        match config.by:
            case "size" if total <= config.size:
                return [f"the model holds {total} bytes of weights, which fit into one part of {config.size}"]
            case "layer" if (count := len(chain_of(model).nodes)) < config.parts:
                return [f"{count} nodes of the model depend on an input, too few for {config.parts} parts"]
            case "plan" if not _plan(source):
                return [f"the model comes with no plan: the note {PLAN} is missing or no list of names"]
            case "provider" if len(target.providers) < 2:
                return ["the target lists one execution provider, so there is nothing to cut between"]
            case _:
                return []

    def run(self, source: Artifact, out: Path, config: SplitConfig, context: PassContext) -> Manifest:
        """Writes the parts one after the other.

        Raises:
            RefusedError: OL301, a cut that cannot be made.
        """
        model = read_structure(source.model)
        put_in_order(model)
        name_nodes(model)
        chain = chain_of(model)
        types = ValueTypes(model, source, context.scratch)
        groups = _groups(chain, types, source, config, context)
        if len(groups) < 2:
            raise fail(RefusedError, "OL301", f"by {config.by} the model stays in one part")
        told: dict[str, Json] = {}
        manifest = deliver_parts(source, out, _parts(chain, groups, types, told), beside=source.model)
        ends = signature_of(model)
        notes: JsonObject = {
            "by": config.by,
            "inputs": [value.name for value in ends.inputs],
            "outputs": [value.name for value in ends.outputs],
            "parts": told,
        }
        return manifest.noted(split=notes)


def _groups(chain: Chain, types: ValueTypes, source: Artifact, config: SplitConfig, context: PassContext) -> Groups:
    match config.by:
        case "layer":
            return into_equal(chain, config.parts, chain.crossing(types))
        case "size":
            return by_bytes(chain, config.size, chain.crossing(types))
        case "nodes":
            return at_values(chain, [[name] for name in config.at])
        case "plan":
            return at_values(chain, _plan(source))
        case "provider":
            folder = context.scratch / "assigned"
            folder.mkdir()
            named = _copy(chain.model)
            return by_provider(chain, assigned(named, source, context.target, folder))
        case _ as never:
            assert_never(never)


def _parts(chain: Chain, groups: Groups, types: ValueTypes, told: dict[str, Json]) -> Iterator[tuple[str, ModelProto]]:
    """Yields the parts by name, and writes down what goes in and out of each."""
    model = chain.model
    given = [value.name for value in signature_of(model).inputs]
    ends = [entry.name for entry in model.graph.output]
    made = {name for group in groups for place in group for name in model.graph.node[place].output}
    loose = [name for name in ends if name not in made]  # outputs that are inputs, weights, or made of weights
    idle = {*given} - {name for group in groups for name in needs(chain.with_constants(group), model, loose)}
    for number, group in enumerate(groups):
        last = number == len(groups) - 1
        own = [name for place in group for name in model.graph.node[place].output if name]
        later = {name for other in groups[number + 1 :] for place in other for name in chain.read_by(place)}
        handed_on = [name for name in own if name in later and name not in ends]
        wanted = [*handed_on, *(name for name in ends if name in own or (last and name in loose))]
        places = chain.with_constants(group, wanted)
        read = needs(places, model, wanted)
        inputs = [*(n for n in given if n in read or (number == 0 and n in idle)), *(n for n in read if n not in given)]
        part = cut_out(model, places, inputs, wanted, types)
        weights = sum(map(byte_count, tensors(part)))
        name = f"part{number:0{len(str(len(groups) - 1))}}"  # by name they stand in the order in which they run
        told[name] = {"inputs": inputs, "outputs": wanted, "bytes": weights}
        yield name, part


def _plan(source: Artifact) -> list[list[str]]:
    """Returns a plan's cuts; nothing where the source has none that can be read."""
    written = source.manifest.notes.get(PLAN)
    if not isinstance(written, list):
        return []
    cuts = [[cut] if isinstance(cut, str) else cut for cut in written]
    named = [cut for cut in cuts if isinstance(cut, list) and cut and all(isinstance(name, str) for name in cut)]
    return [list(map(str, cut)) for cut in named] if len(named) == len(cuts) else []


def _copy(model: ModelProto) -> ModelProto:
    copy = type(model)()
    copy.CopyFrom(model)
    return copy
