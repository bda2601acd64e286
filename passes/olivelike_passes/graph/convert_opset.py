"""The pass `convert_opset`: the same model in another version of the ONNX operator set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.carry import keep
from olivelike.contracts.passes import PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.inference import inferred_strictly
from olivelike.onnxfile.light import put_back, without_weights
from olivelike.onnxfile.read import opset, read_structure
from olivelike.onnxfile.walk import nodes
from olivelike.onnxfile.wiring import is_in_order
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.graph.misconverted import (
    HIDDEN,
    RESIZE_CAME,
    has_old_resize,
    needs_care,
    say_where_pixels_lie,
    taken_care_of,
)
from olivelike_passes.graph.operators import (
    drop_newer_defaults,
    function_nodes,
    is_same_further_down,
    is_same_operator,
    newer_attributes,
)
from olivelike_passes.header import replace_all, restore_header, unite_imports
from olivelike_passes.weights import free_weights

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

DEFAULT = ("", "ai.onnx")


def _exists(value: int) -> int:
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if value > newest:
        raise ValueError(f"opset {value} does not exist in the installed onnx, whose newest is {newest}")
    return value


class ConvertOpsetConfig(PassConfig):
    """Where `convert_opset` is to go."""

    target: Annotated[int, Field(ge=7), AfterValidator(_exists)]
    """The version of the default operator set (`ai.onnx`) that the model is to import."""


class ConvertOpset(GraphPass[ConvertOpsetConfig]):
    """Converts a model to another version of the ONNX operator set.

    What it does:
        Rewrites every operator of the default domain whose definition has changed between the two versions, with ONNX's
        own version converter. Operators of other domains stay as they are. A model that is there already stays byte by byte.

    When to use it:
        Before a pass that asks for a later opset: per-channel QDQ quantization needs 13, 16-bit activations need 21.

    Limits:
        Up works nearly always. Down works to opset 11 for operators that have only come to take more types since, and else
        where the converter has an adapter. Sparse tensors are refused, and functions of the
        model's own whose operators have changed: `inline_functions` before it writes them out. What would come out with other
        numbers is refused too: a softmax along another axis than the last below opset 13, the mask of a `Dropout` across
        12, a `GroupNormalization` of several channels a group across 21, axes that may be replaced where they become fixed.

    Example:
        ```yaml
        passes:
          - convert_opset: {target: 17}
          - static_quant: {per_channel: true, data: calibration}
        ```
    """

    name = "convert_opset"
    config = ConvertOpsetConfig
    lossless = True

    def unsuitable(self, model: ModelProto, config: ConvertOpsetConfig, target: Target) -> Sequence[str]:
        """Refuses models without operators of the default domain, and what the converter does not convert."""
        if opset(model) == config.target:
            return []
        found = []
        if not opset(model):
            found.append("the model has no operator of the default domain, so there is nothing to convert")
        if model.training_info:
            found.append("the model holds training graphs, which the converter leaves out")
        return [*found, *_changed_functions(model, config.target)]

    def run(self, source: Artifact, out: Path, config: ConvertOpsetConfig, context: PassContext) -> Manifest:
        """Converts the model; one that is there already is copied, unless its nodes stand in a wrong order."""
        model = read_structure(source.model)
        if opset(model) == config.target and is_in_order(model):
            return keep(source, out)
        return super().run(source, out, config, context)

    def rewrite(
        self, model: ModelProto, source: Artifact, config: ConvertOpsetConfig, context: PassContext
    ) -> Rewritten:
        """Converts the structure, in which stand-ins are for large weights: the converter holds a model of 2 GiB at most.

        Raises:
            RefusedError: OL301, the converter has no way from the one version to the other for some operator.
        """
        import onnx

        if opset(model) == config.target:
            return Rewritten(model)
        light = without_weights(model, source.model)
        unite_imports(light)
        free_weights(light)
        before = opset(light)
        typed = inferred_strictly(light).model if config.target < before or needs_care(light) else light
        if troubles := taken_care_of(typed, before, config.target):
            claim = f"there is no way from opset {before} to {config.target}: {'; '.join(troubles)}"
            raise fail(RefusedError, "OL301", claim)
        try:
            converted = _converted(typed, config.target)
        except (RuntimeError, ValueError, onnx.version_converter.ConvertError) as error:
            claim = f"there is no way from opset {before} to {config.target}: {' '.join(str(error).split())[-200:]}"
            raise fail(RefusedError, "OL301", claim) from error
        converted.ir_version = max(light.ir_version, onnx.helper.find_min_ir_version_for(converted.opset_import, True))
        _restore(converted, light)
        if config.target < before and (found := _misfit(converted, light, config.target)):
            raise fail(RefusedError, "OL301", f"there is no way from opset {before} to {config.target}: {found}")
        put_back(converted, model)
        return Rewritten(converted)


def _converted(model: ModelProto, target: int) -> ModelProto:
    """Converts a model with ONNX's converter, on the way down around the nodes that mean the same in the older version.

    The converter has adapters for what has changed its form, and none where an operator merely came to take more types. Those
    nodes are hidden from it, in a domain that it does not know; what it sees keeps its types by the stated ones.
    The model that is given is used up.
    """
    import onnx

    here = opset(model)
    for node in nodes(model) if target < here else ():
        if node.domain in DEFAULT:
            drop_newer_defaults(node, here, target)
        if node.domain in DEFAULT and is_same_further_down(node, here, target):
            node.domain = HIDDEN
    if hides := any(node.domain == HIDDEN for node in nodes(model)):
        model.opset_import.add(domain=HIDDEN, version=1)
    if has_old_resize(model, here, target):
        model = onnx.version_converter.convert_version(model, RESIZE_CAME) if here < RESIZE_CAME else model
        say_where_pixels_lie(model)
    made = onnx.version_converter.convert_version(model, target)
    for node in nodes(made) if hides else ():
        if node.domain == HIDDEN:
            node.domain = ""
    replace_all(made.opset_import, [entry for entry in made.opset_import if entry.domain != HIDDEN])
    return made


def _misfit(converted: ModelProto, original: ModelProto, target: int) -> str:
    """Returns what an older version cannot have of what the converter made: attributes, types; empty where there is nothing."""
    for node in nodes(converted):
        if node.domain in DEFAULT and (newer := newer_attributes(node, target)):
            return f"{node.op_type} has no attribute {newer[0]} there"
    failed = inferred_strictly(converted).failed
    return "" if not failed or inferred_strictly(original).failed else failed[-200:]


def _changed_functions(model: ModelProto, target: int) -> Iterator[str]:
    """Yields functions that the converter would not convert, and has to."""
    for function in model.functions:
        held = max((entry.version for entry in function.opset_import if entry.domain in DEFAULT), default=target)
        for node in function_nodes(function):
            if node.domain in DEFAULT and not _is_same(node, held, target):
                what = f"the function '{function.domain}:{function.name}' has {node.op_type} of version {held}"
                yield f"{what}, which is another one in {target}: put `inline_functions: {{}}` before it"
                break


def _is_same(node: NodeProto, here: int, there: int) -> bool:
    return is_same_operator(node.op_type, "", here, there) or (there < here and is_same_further_down(node, here, there))


def _restore(converted: ModelProto, original: ModelProto) -> None:
    """Brings back what the converter leaves out: functions, and what is written of graphs, nodes, values and weights."""
    restore_header(converted, original)
    for function in original.functions:
        made = converted.functions.add()
        made.CopyFrom(function)
        for entry in made.opset_import:
            if entry.domain in DEFAULT:
                entry.version = opset(converted)
    graph, before = converted.graph, original.graph
    for pair in (
        (graph.metadata_props, before.metadata_props),
        (graph.quantization_annotation, before.quantization_annotation),
    ):
        pair[0].extend(pair[1])
    ends = {entry.name: entry for entry in (*before.input, *before.output)}
    for entry in (*graph.input, *graph.output):
        if entry.name in ends:
            entry.CopyFrom(ends[entry.name])
    tensors = {tensor.name: tensor for tensor in before.initializer}
    for tensor in graph.initializer:
        if tensor.name in tensors:
            tensor.doc_string = tensors[tensor.name].doc_string
            tensor.metadata_props.extend(tensors[tensor.name].metadata_props)
    said = {(node.op_type, *node.output): node.metadata_props for node in nodes(original) if node.metadata_props}
    for node in nodes(converted):
        node.metadata_props.extend(said.get((node.op_type, *node.output), ()))
