"""Causal language models of a few nodes: the logits of the next token are a row of a table, chosen by the token before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from olivelike.contracts.artifact import Artifact
from olivelike.testing.measure_context import artifact_at

BATCH, LENGTH, PAST = "batch_size", "sequence_length", "past_sequence_length"
HEADS, WIDTH = 2, 4
FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64


def bigram(
    folder: Path, table: ArrayLike, *, state: bool = False, length: int | str = LENGTH, last: bool = False
) -> Artifact:
    """Writes a model whose logits `[batch, length, vocabulary]` are rows of a table `[vocabulary, vocabulary]`.

    Args:
        folder: where.
        table: row of logits for each token.
        state: also ask for `attention_mask`, `position_ids` and an empty past, as exported decoders do; logits are spoiled
            where these are not what they should be.
        length: a number fixes the length of sequences.
        last: give the logits of the last token only.
    """
    folder.mkdir(parents=True, exist_ok=True)
    logits = "rows" if state or last else "logits"
    nodes = [helper.make_node("Gather", ["table", "input_ids"], [logits])]
    inputs = [helper.make_tensor_value_info("input_ids", INT, [BATCH, length])]
    weights = [numpy_helper.from_array(np.asarray(table, np.float32), "table")]
    if last:
        weights.append(numpy_helper.from_array(np.array([-1], np.int64), "end"))
        nodes.append(helper.make_node("Gather", ["rows", "end"], ["logits"], axis=1))
    if state:
        nodes += _stateful()
        inputs += [
            helper.make_tensor_value_info("attention_mask", INT, [BATCH, f"{PAST} + {LENGTH}"]),
            helper.make_tensor_value_info("position_ids", INT, [BATCH, LENGTH]),
            helper.make_tensor_value_info("past_key_values.0.key", FLOAT, [BATCH, HEADS, PAST, WIDTH]),
        ]
        weights += [
            numpy_helper.from_array(np.array([1], np.int64), "one"),
            numpy_helper.from_array(np.array([2], np.int64), "two"),
            numpy_helper.from_array(np.array(1, np.int64), "along"),
        ]
    graph = helper.make_graph(
        nodes,
        "bigram",
        inputs,
        [helper.make_tensor_value_info("logits", FLOAT, [BATCH, "any", len(np.asarray(table))])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "model.onnx")
    return artifact_at(folder)


def _stateful() -> list[onnx.NodeProto]:
    """Adds to the logits the sum of the past, and spoils those whose positions do not count the mask."""
    return [
        helper.make_node("ReduceSum", ["past_key_values.0.key"], ["past"], keepdims=0),
        helper.make_node("CumSum", ["attention_mask", "along"], ["counted"]),
        helper.make_node("Sub", ["counted", "one"], ["expected"]),
        helper.make_node("Sub", ["expected", "position_ids"], ["apart"]),
        helper.make_node("Mul", ["apart", "attention_mask"], ["seen"]),
        helper.make_node("Cast", ["seen"], ["wrong"], to=FLOAT),
        helper.make_node("Unsqueeze", ["wrong", "two"], ["column"]),
        helper.make_node("Exp", ["rows"], ["likely"]),
        helper.make_node("Mul", ["likely", "column"], ["spoiled"]),
        helper.make_node("Add", ["rows", "spoiled"], ["placed"]),
        helper.make_node("Add", ["placed", "past"], ["logits"]),
    ]
