"""Which operators libraries of custom operators hold: the runtime lists none of them, so each is tried in a model of one node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.target import Target
from olivelike.evaluate.sessions.operators import Operator
from olivelike.evaluate.sessions.runtime_errors import UNREGISTERED, runtime_exceptions
from olivelike.evaluate.sessions.session_options import session_options

if TYPE_CHECKING:
    from onnxruntime import SessionOptions

SILENT = 4
IR_VERSION, OPSET = 8, 17
ONNX_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
"""Of their operators the runtime says otherwise that it has none, and libraries hold operators of other domains."""


def held_by(libraries: Sequence[Artifact], operators: Mapping[Operator, int]) -> frozenset[Operator]:
    """Returns which operators libraries hold.

    Args:
        libraries: artifacts with the libraries.
        operators: those that are looked for, each with the version of its domain that the model imports.

    Raises:
        MeasureError: OL504, a library cannot be loaded.
    """
    if not libraries:
        return frozenset()
    options = session_options(Artifact(libraries[0].folder, Manifest("onnx"), ""), Target(), beside=libraries)
    options.log_severity_level = SILENT
    asked = {each: version for each, version in operators.items() if each[0] not in ONNX_DOMAINS}
    return frozenset(each for each, version in asked.items() if _is_known(each, version, options))


def _is_known(operator: Operator, version: int, options: SessionOptions) -> bool:
    import onnx
    import onnxruntime

    domain, kind = operator
    node = onnx.helper.make_node(kind, [], ["y"], domain=domain)
    graph = onnx.helper.make_graph([node], "probe", [], [onnx.ValueInfoProto(name="y")])
    imports = [onnx.helper.make_opsetid("", OPSET), onnx.helper.make_opsetid(domain, version)]
    model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION)
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except runtime_exceptions() as error:
        return UNREGISTERED not in str(error)
    return True
