"""Models of one or two nodes, built in code and written as artifacts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


VOCABULARY, HEADS, WIDTH = 11, 2, 4
_BATCH, _LENGTH, _PAST, _TOTAL = "batch_size", "sequence_length", "past_sequence_length", "total_sequence_length"


def language_model(folder: Path, *, cached: bool = True, half: bool = False, seed: int = 0) -> Artifact:
    """Writes a causal language model: embedding, one layer of attention, one of logits `[batch, length, 11]`.

    A token sees those whose number in the mask is no larger than its position: with wrong masks or positions it writes
    something else. With a cache it is called like those that Optimum exports.

    Args:
        folder: where.
        cached: whether it takes `past_key_values.0.*` and gives `present.0.*`.
        half: float16 instead of float32.
        seed: of the weights.
    """
    draw = np.random.default_rng(seed).standard_normal
    kind, real = (TensorProto.FLOAT16, np.float16) if half else (TensorProto.FLOAT, np.float32)
    size = HEADS * WIDTH
    floats = {
        "embedding": draw((VOCABULARY, size)),
        **{f"{name}_weights": draw((size, size)) / 2 for name in ("query", "key", "value")},
        "head": 3 * draw((size, VOCABULARY)),
        "scale": np.array(WIDTH**-0.5),
        "hidden": np.array(-1e4),
    }
    weights = {name: array.astype(real) for name, array in floats.items()} | {
        "split": np.array([0, 0, HEADS, WIDTH]),
        "join": np.array([0, 0, size]),
        "one": np.array(1),
        "axis_1": np.array([1]),
        "axis_2": np.array([2]),
    }
    cache = [f"{{}}.0.{name}" for name in ("key", "value")] if cached else []
    inputs = [
        _typed("input_ids", TensorProto.INT64, (_BATCH, _LENGTH)),
        _typed("attention_mask", TensorProto.INT64, (_BATCH, _TOTAL)),
        _typed("position_ids", TensorProto.INT64, (_BATCH, _LENGTH)),
        *(_typed(name.format("past_key_values"), kind, (_BATCH, HEADS, _PAST, WIDTH)) for name in cache),
    ]
    outputs = [
        _typed("logits", kind, (_BATCH, _LENGTH, VOCABULARY)),
        *(_typed(name.format("present"), kind, (_BATCH, HEADS, _TOTAL, WIDTH)) for name in cache),
    ]
    initializers = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph([*_attention(cached)], "writer", inputs, outputs, initializers)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "model.onnx"
    )
    return artifact_at(folder, Manifest("onnx", {"model": "model.onnx"}))


def _typed(name: str, kind: int, shape: tuple[Dimension, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _attention(cached: bool) -> Iterator[onnx.NodeProto]:
    """Yields the nodes; keys and values are `[batch, heads, length, width]`."""
    yield helper.make_node("Gather", ["embedding", "input_ids"], ["embedded"])
    for name in ("query", "key", "value"):
        own = f"own_{name}" if cached and name != "query" else f"present.0.{name}"
        yield helper.make_node("MatMul", ["embedded", f"{name}_weights"], [f"flat_{name}"])
        yield helper.make_node("Reshape", [f"flat_{name}", "split"], [f"split_{name}"])
        yield helper.make_node("Transpose", [f"split_{name}"], [own], perm=[0, 2, 1, 3])
        if own.startswith("own"):
            past = f"past_key_values.0.{name}"
            yield helper.make_node("Concat", [past, own], [f"present.0.{name}"], axis=2)
    yield helper.make_node("Transpose", ["present.0.key"], ["turned"], perm=[0, 1, 3, 2])
    yield helper.make_node("MatMul", ["present.0.query", "turned"], ["products"])
    yield helper.make_node("Mul", ["products", "scale"], ["scores"])
    yield helper.make_node("CumSum", ["attention_mask", "one"], ["counted"])
    yield helper.make_node("Unsqueeze", ["counted", "axis_1"], ["numbers"])
    yield helper.make_node("Unsqueeze", ["position_ids", "axis_2"], ["places"])
    yield helper.make_node("Sub", ["numbers", "one"], ["from_zero"])
    yield helper.make_node("Greater", ["from_zero", "places"], ["later"])
    yield helper.make_node("Unsqueeze", ["later", "axis_1"], ["later_for_all"])
    yield helper.make_node("Where", ["later_for_all", "hidden", "scores"], ["seen"])
    yield helper.make_node("Softmax", ["seen"], ["shares"], axis=-1)
    yield helper.make_node("MatMul", ["shares", "present.0.value"], ["mixed"])
    yield helper.make_node("Transpose", ["mixed"], ["back"], perm=[0, 2, 1, 3])
    yield helper.make_node("Reshape", ["back", "join"], ["joined"])
    yield helper.make_node("Add", ["embedded", "joined"], ["summed"])
    yield helper.make_node("MatMul", ["summed", "head"], ["logits"])
