"""The pass `convert_ir_version`: the same model for a runtime that reads an older file format, or a newer one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.onnxfile.walk import graphs, nodes, tensors
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.weights import FREE_WEIGHTS_IR, weights_off_inputs

if TYPE_CHECKING:
    from onnx import ModelProto

FUNCTIONS_IR = 8
NEW_TYPES = {
    "BFLOAT16": 4, "FLOAT8E4M3FN": 9, "FLOAT8E4M3FNUZ": 9, "FLOAT8E5M2": 9, "FLOAT8E5M2FNUZ": 9,
    "INT4": 10, "UINT4": 10, "FLOAT4E2M1": 11, "FLOAT8E8M0": 12, "INT2": 13, "UINT2": 13,
}  # fmt: skip
"""The IR version that brought an element type (onnx.proto, `Version`)."""


class ConvertIrVersionConfig(PassConfig):
    """Where `convert_ir_version` is to go."""

    target: int = Field(ge=3, le=14)
    """The IR version that the file is to have."""


class ConvertIrVersion(GraphPass[ConvertIrVersionConfig]):
    """Changes the version of the file format, which a deployed runtime may be too old for.

    What it does:
        Sets the IR version. Below 4 weights become inputs as well, as that version asks for; from 4 on they stop being
        inputs where the older version had made them so. Operators stay as they are: their version is the opset.

    When to use it:
        Last, where a runtime says "unsupported model IR version".

    Limits:
        Refuses a version that has not what the model holds: functions of its own need 8, bfloat16 4, 4-bit integers 10.

    Example:
        ```yaml
        passes:
          - simplify: {}
          - convert_ir_version: {target: 8}
        ```
    """

    name = "convert_ir_version"
    config = ConvertIrVersionConfig
    lossless = True

    def unsuitable(self, model: ModelProto, config: ConvertIrVersionConfig, target: Target) -> Sequence[str]:
        """Refuses a version that cannot hold what is in the model."""
        needed = {f"elements of type {name}": version for name, version in NEW_TYPES.items() if name in _types(model)}
        if model.functions:
            needed["functions of its own"] = FUNCTIONS_IR
        if model.graph.sparse_initializer or any(
            a.HasField("sparse_tensor") for n in nodes(model) for a in n.attribute
        ):
            needed["sparse tensors"] = 5
        if any(graph.initializer for graph in graphs(model) if graph is not model.graph):
            needed["weights inside a branch or a loop"] = FREE_WEIGHTS_IR
        return [
            f"the model has {what}, which IR version {config.target} cannot hold: it takes {version}"
            for what, version in needed.items()
            if version > config.target
        ]

    def rewrite(
        self, model: ModelProto, source: Artifact, config: ConvertIrVersionConfig, context: PassContext
    ) -> Rewritten:
        """Sets the version, and lists weights among the inputs or takes them off."""
        if config.target < FREE_WEIGHTS_IR:
            _weights_onto_inputs(model)
        elif model.ir_version < FREE_WEIGHTS_IR:
            weights_off_inputs(model)
        model.ir_version = config.target
        return Rewritten(model)


def _weights_onto_inputs(model: ModelProto) -> None:
    import onnx

    given = {entry.name for entry in model.graph.input}
    model.graph.input.extend(
        onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in model.graph.initializer
        if tensor.name not in given
    )


def _types(model: ModelProto) -> frozenset[str]:
    import onnx

    found = {tensor.data_type for tensor in tensors(model)}
    ends = (*model.graph.input, *model.graph.output, *model.graph.value_info)
    found |= {entry.type.tensor_type.elem_type for entry in ends}
    return frozenset(onnx.TensorProto.DataType.Name(kind) for kind in found)
