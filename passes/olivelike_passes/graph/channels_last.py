"""The pass `channels_last`: images taken and given as [batch, height, width, channels]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.errors import nearest
from olivelike.onnxfile.read import UNKNOWN_RANK, Value, signature_of
from olivelike.onnxfile.wiring import makers
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.graph.layouts import Readers, comes_from_image_operator, goes_into_image_operator
from olivelike_passes.graph.transposes import Edges

if TYPE_CHECKING:
    from onnx import ModelProto

IMAGE = 4
RANKS = (3, 4, 5)


class ChannelsLastConfig(PassConfig):
    """What `channels_last` turns."""

    inputs: tuple[str, ...] = Field(default=(), examples=[["image"]])
    """Inputs of rank 3, 4 or 5 to be taken with the channels last. Where nothing is named here nor in `outputs`: those of
    rank 4 that operators on images read."""
    outputs: tuple[str, ...] = Field(default=(), examples=[["mask"]])
    """Outputs to be given so. Where nothing is named at all: those of rank 4 that operators on images make."""


class ChannelsLast(GraphPass[ChannelsLastConfig]):
    """Takes and gives images with their channels last, as cameras and image libraries have them.

    What it does:
        Inputs and outputs keep their names and change their layout from [batch, channels, height, width] to [batch, height,
        width, channels]; of rank 3 and 5 likewise. A `Transpose` is put in at the edge. Where another one is near, with
        nothing between but operators on single elements, the two become one, or none where they undo each other: so it is
        with models that were converted from channels-last frameworks.

    When to use it:
        Where the application holds images as [height, width, channels], and in front of a device that wants them so.

    Limits:
        Only the edges change; operators inside keep ONNX's layout, which has its channels first. Without names, an input
        counts as an image where a convolution, a pooling or their like reads it with only operators on single elements
        between. Refused: an input that is an output as well, outputs that no node makes.

    Example:
        ```yaml
        passes:
          - channels_last: {inputs: [image]}
        ```
    """

    name = "channels_last"
    config = ChannelsLastConfig

    def unsuitable(self, model: ModelProto, config: ChannelsLastConfig, target: Target) -> Sequence[str]:
        """Refuses names that are no inputs or outputs, ranks without a layout, and models without images."""
        del target
        if not config.inputs and not config.outputs:
            found = any(_images(model))
            claim = f"no operator on images reads an input of rank {IMAGE} or makes an output of that rank"
            return [] if found else [f"{claim}: name what is to be turned"]
        ends = signature_of(model)
        return [
            *_wrong("input", config.inputs, {value.name: value for value in ends.inputs}),
            *_wrong("output", config.outputs, {value.name: value for value in ends.outputs}),
            *_passed_through(model, config),
        ]

    def rewrite(
        self, model: ModelProto, source: Artifact, config: ChannelsLastConfig, context: PassContext
    ) -> Rewritten:
        """Turns inputs, then outputs."""
        named = config.inputs or config.outputs
        inputs, outputs = (config.inputs, config.outputs) if named else _images(model)
        ends = signature_of(model)
        ranks = {value.name: len(value.shape) for value in (*ends.inputs, *ends.outputs)}
        edges = Edges(model)
        for name in inputs:
            edges.turn_input(name, ranks[name])
        for name in outputs:
            edges.turn_output(name, ranks[name])
        return Rewritten(model, {"inputs": list(inputs), "outputs": list(outputs)})


def _images(model: ModelProto) -> tuple[tuple[str, ...], tuple[str, ...]]:
    ends, readers = signature_of(model), Readers(model.graph)
    given = {value.name for value in ends.inputs}
    inputs = (v.name for v in ends.inputs if len(v.shape) == IMAGE and not readers.is_output(v.name))
    outputs = (v.name for v in ends.outputs if len(v.shape) == IMAGE and v.name not in given)
    return (
        tuple(name for name in inputs if goes_into_image_operator(name, readers)),
        tuple(name for name in outputs if comes_from_image_operator(name, readers)),
    )


def _wrong(what: str, names: Sequence[str], known: Mapping[str, Value]) -> list[str]:
    found = [f"the model has no {what} {name!r}: {nearest(name, known)}" for name in names if name not in known]
    for name in names:
        shape = known[name].shape if name in known else (1,) * IMAGE
        if UNKNOWN_RANK in shape:
            found.append(f"the rank of the {what} {name!r} is not known")
        elif len(shape) not in RANKS:
            found.append(f"the {what} {name!r} has rank {len(shape)}, which has no channels to move: 3, 4 and 5 have")
    return found


def _passed_through(model: ModelProto, config: ChannelsLastConfig) -> list[str]:
    outputs = {entry.name for entry in model.graph.output}
    made = makers(model.graph.node)
    both = [f"the input {name!r} is an output as well" for name in config.inputs if name in outputs]
    return both + [f"no node makes the output {n!r}" for n in config.outputs if n in outputs and n not in made]
