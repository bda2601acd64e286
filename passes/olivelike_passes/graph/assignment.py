"""Which execution provider runs which node, as the runtime itself assigns them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.target import Target
from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.write import write_model
from olivelike_passes.runtime import refused_by_runtime

if TYPE_CHECKING:
    from onnx import ModelProto

RECORD = "session.record_ep_graph_assignment_info"


def assigned(model: ModelProto, source: Artifact, target: Target, scratch: Path) -> Mapping[str, str]:
    """Returns for every node's name the provider that the runtime gives it to, optimizations off.

    Args:
        model: the structure of the source's model, its nodes named; it is taken over.
        source: what it was read from.
        target: the providers in order of preference.
        scratch: an empty folder; the model is written into it.

    Raises:
        RefusedError: OL301, the target is not here, one of its providers is not, or the runtime does not tell or load.
    """
    import onnxruntime

    _require(target)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry(RECORD, "1")
    for name in source.manifest.custom_operators:
        options.register_custom_ops_library(str(source.folder / name))
    path = write_model(model, scratch, beside=source.model)
    providers = [(provider.name, dict(provider.options)) for provider in target.providers]
    with refused_by_runtime():
        session = onnxruntime.InferenceSession(path, options, providers=providers, enable_fallback=False)
        found = session.get_provider_graph_assignment_info()
    return {node.name: group.ep_name for group in found for node in group.get_nodes()}


def _require(target: Target) -> None:
    import onnxruntime

    if not target.present:
        claim = "the target is declared not present, and only its runtime knows which provider takes which node"
        raise fail(RefusedError, "OL301", claim)
    offered = onnxruntime.get_available_providers()
    missing = [provider.name for provider in target.providers if provider.name not in offered]
    if missing:
        claim = f"the installed runtime has no {missing[0]}, so it cannot say which nodes that would take"
        raise fail(RefusedError, "OL301", claim, hint=f"it has: {', '.join(offered)}")
    if not hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info"):
        claim = f"ONNX Runtime {onnxruntime.__version__} does not tell which provider takes which node"
        raise fail(RefusedError, "OL301", claim, hint="use a newer one, or split by layer")
