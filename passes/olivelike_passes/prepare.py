"""Prepare a model for tools that look for weights among the initializers, nodes by name and values by type."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact
from olivelike.onnxfile.inference import inferred
from olivelike.onnxfile.read import read_model
from olivelike.onnxfile.write import write_model
from olivelike_passes.header import replace_all, unite_imports
from olivelike_passes.naming import name_nodes
from olivelike_passes.runtime import open_session
from olivelike_passes.weights import free_weights, lift_constants

if TYPE_CHECKING:
    from onnx import ModelProto


def prepared(source: Artifact, scratch: Path) -> ModelProto:
    """Returns the source's model with constants lifted, nodes named, one import per operator set, and values typed.

    Raises:
        RefusedError: OL301, the runtime cannot load the model.
    """
    model = read_model(source.model)
    lift_constants(model)
    name_nodes(model)
    unite_imports(model)
    free_weights(model)
    _state_types(model)
    _complete_types(model, source, scratch)
    return model


def _state_types(model: ModelProto) -> None:
    """Writes into a model what ONNX infers; what is computed from shapes is not followed, because it is not always right."""
    found = inferred(model, follow_values=False).graph
    for field in ("node", "value_info", "output"):  # branches, inside nodes, are typed too
        replace_all(getattr(model.graph, field), list(getattr(found, field)))


def _complete_types(model: ModelProto, source: Artifact, scratch: Path) -> None:
    """Asks the runtime for the types that ONNX's own inference does not know: behind operators of other domains."""
    import onnx

    graph = model.graph
    typed = {entry.name for entry in (*graph.value_info, *graph.output) if entry.type.tensor_type.elem_type}
    untyped = [name for node in graph.node for name in node.output if name and name not in typed]
    if not untyped:
        return
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in untyped)
    session = open_session(write_model(probe, _fresh(scratch, "probe")), source)
    for argument in session.get_outputs()[len(graph.output) :]:
        kind = _element_type(argument.type)
        if kind:
            # Only the type: the runtime's shapes may hold names of dimensions of its own making.
            graph.value_info.append(onnx.helper.make_tensor_value_info(argument.name, kind, None))


def _element_type(written: str) -> int:
    """Reads `tensor(float16)` as the runtime writes it; 0, ONNX's `UNDEFINED`, for sequences and maps."""
    import onnx

    types: dict[str, int] = dict(onnx.TensorProto.DataType.items())
    return types.get(written.removeprefix("tensor(").removesuffix(")").upper(), 0)


def _fresh(scratch: Path, name: str) -> Path:
    folder = scratch / name
    folder.mkdir(parents=True)
    return folder
