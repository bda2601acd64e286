"""A model that gives inner values too: what its nodes hand to each other, node by node as the graph says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.target import Target
from olivelike.evaluate.sessions.session import RuntimeSession, start_session
from olivelike.evaluate.sessions.session_options import session_options
from olivelike.onnxfile.read import read_structure

if TYPE_CHECKING:
    from onnx import ModelProto

FOLDER = "session.model_external_initializers_file_folder_path"
"""Where the runtime looks for external data of a model that it is given as bytes."""
SILENT = 4


def made_values(model: ModelProto) -> dict[str, str]:
    """Returns the values that nodes of the main graph give, outputs among them, each with the type of its node, in order."""
    return {name: node.op_type for node in model.graph.node for name in node.output if name}


def open_with_inner(
    artifact: Artifact, names: Sequence[str], target: Target, *, beside: Sequence[Artifact] = ()
) -> RuntimeSession:
    """Loads a model with some of its values as further outputs.

    The runtime's own optimizations are off: fused nodes would not give the values that lie inside them. Nothing is written;
    external data are read from where they lie.

    Args:
        artifact: the model.
        names: values that nodes of its main graph give, or outputs that it has already.
        target: where to run.
        beside: artifacts whose custom operators it needs too.

    Raises:
        MeasureError: OL504, the runtime cannot load it.
    """
    import onnx
    import onnxruntime

    model = read_structure(artifact.model)
    given = {entry.name for entry in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in given)
    options = session_options(artifact, target, beside=beside)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = SILENT  # what it cannot do with these outputs is said by the error
    options.add_session_config_entry(FOLDER, str(artifact.model.parent.absolute()))
    return start_session(model.SerializeToString(), artifact.model.name, options, target)
