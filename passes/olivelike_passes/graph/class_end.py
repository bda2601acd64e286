"""The end of a model that gives scores: which output it is, and the nodes behind it that make classes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from olivelike.errors import nearest
from olivelike.onnxfile.read import UNKNOWN_RANK, Value, opset, signature_of
from olivelike.onnxfile.wiring import makers, rename_reads
from olivelike_passes.graph.processing import Steps

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from olivelike_passes.graph.processing_config import InsertPrePostProcessingConfig

FLOATS = ("float32", "float16", "float64")


def scores_output(model: ModelProto, config: InsertPrePostProcessingConfig) -> Value | str:
    """Returns the output that holds the scores, or why there is none."""
    outputs = {value.name: value for value in signature_of(model).outputs}
    if config.output and config.output not in outputs:
        return f"the model has no output {config.output!r}: {nearest(config.output, outputs)}"
    if not config.output and len(outputs) != 1:
        return f"the model has {len(outputs)} outputs: name the one of scores with `output`"
    value = outputs[config.output or next(iter(outputs))]
    if value.dtype not in FLOATS or not value.shape or UNKNOWN_RANK in value.shape:
        return f"the output {value.name!r} is {value.dtype} {list(value.shape)}, no scores of known rank"
    if value.name not in makers(model.graph.node):
        return f"no node makes the output {value.name!r}"
    classes = value.shape[_axis(value)]
    if config.classes.endswith("top_k") and isinstance(classes, int) and classes < config.k:
        return f"the output {value.name!r} has {classes} classes, fewer than `k`, which is {config.k}"
    return value


def _axis(scores: Value) -> int:
    """Returns the axis of the classes: the last one, unless all behind another are of size 1 ([batch, classes, 1, 1])."""
    longer = [axis for axis, size in enumerate(scores.shape) if size != 1 and axis]
    return longer[-1] if longer else len(scores.shape) - 1


def insert_behind(model: ModelProto, scores: Value, config: InsertPrePostProcessingConfig) -> None:
    """Puts what makes classes of scores behind an output, which keeps its name."""
    import onnx

    name, axis = scores.name, _axis(scores)
    steps = Steps(model, name, name)
    steps.value = inner = steps.fresh("scores")
    for node in model.graph.node:
        rename_reads(node, {name: inner})
        node.output[:] = [inner if made == name else made for made in node.output]
    for annotation in model.graph.quantization_annotation:
        annotation.tensor_name = inner if annotation.tensor_name == name else annotation.tensor_name
    entry = next(entry for entry in model.graph.output if entry.name == name)
    kind, shape = entry.type.tensor_type.elem_type, [None if dim == "?" else dim for dim in scores.shape]
    if config.classes.startswith("softmax"):
        steps.add("Softmax", axis=axis)
    if config.classes.endswith("top_k"):
        places = _top_k(steps, model, config.k, axis, f"{name}_classes")
        shape[axis] = config.k
        classes = onnx.helper.make_tensor_value_info(places, onnx.TensorProto.INT64, shape)
        model.graph.output.insert(list(model.graph.output).index(entry) + 1, classes)
    elif config.classes == "argmax":
        steps.add("ArgMax", axis=axis, keepdims=0)
        kind, shape = onnx.TensorProto.INT64, [*shape[:axis], *shape[axis + 1 :]]
    _call(steps.nodes, steps.value, name)
    model.graph.node.extend(steps.nodes)
    entry = next(entry for entry in model.graph.output if entry.name == name)
    entry.CopyFrom(onnx.helper.make_tensor_value_info(name, kind, shape, doc_string=entry.doc_string))


def _top_k(steps: Steps, model: ModelProto, k: int, axis: int, places: str) -> str:
    if opset(model) < 10:
        steps.add("TopK", axis=axis, k=k)
    else:
        steps.add("TopK", steps.constant("k", [k], "int64"), axis=axis)
    taken = {name for node in model.graph.node for name in node.output} | {entry.name for entry in model.graph.input}
    while places in taken:
        places += "_"
    steps.nodes[-1].output.append(places)
    return places


def _call(nodes: Sequence[NodeProto], value: str, name: str) -> None:
    for node in nodes:
        node.output[:] = [name if made == value else made for made in node.output]
