"""Models of one or two nodes, built in code and written as artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.testing.measure_context import artifact_at

Dimension = int | str
IDENTITY = np.eye(3, dtype=np.float32)


def classifier(folder: Path, weights: ArrayLike = IDENTITY, **manifest: Any) -> Artifact:
    """Writes `logits = image @ weights`, `image` float32 `[n, rows of weights]`."""
    values = np.asarray(weights, np.float32)
    return write(
        folder,
        [
            helper.make_node("MatMul", ["image", "weights"], ["scores"]),
            helper.make_node("Identity", ["scores"], ["logits"]),
        ],
        {"image": ("n", values.shape[0])},
        {"logits": ("n", values.shape[1])},
        {"weights": values},
        **manifest,
    )


def write(
    folder: Path,
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, tuple[Dimension, ...]],
    outputs: Mapping[str, tuple[Dimension, ...]],
    weights: dict[str, np.ndarray[Any, Any]] | None = None,
    kind: int = TensorProto.FLOAT,
    **manifest: Any,
) -> Artifact:
    """Writes a model of opset 17 as `model.onnx` and describes the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "model.onnx")
    return artifact_at(folder, Manifest("onnx", {"model": "model.onnx"}, **manifest))
