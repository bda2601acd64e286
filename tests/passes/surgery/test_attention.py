"""Attention masks, rotary caches, packed sequences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from olivelike.errors import RefusedError
from olivelike.onnxfile.check import validate_graph
from olivelike.onnxfile.read import read_structure, signature
from olivelike.testing.building import (
    float_tensor,
    float_value,
    model_of,
    node_of,
    random_values,
    value_of,
    weight_of,
    whole_tensor,
)
from olivelike.testing.context import run_model
from tests.passes.surgery.operating import (
    MICROSOFT,
    assert_equal_outputs,
    changed,
    listed,
    microsoft,
    operated,
    outputs,
    weights,
)

HEADS, SIZE = 2, 16
WIDTH = HEADS * SIZE


def grouped(*, caches: bool = False, mask_is_read: bool = False, layers: int = 2) -> onnx.ModelProto:
    """Layers of grouped-query attention without a past, wired as onnxruntime-genai's builder wires them.

    `attention_mask` int64 [batch, total] decides the lengths and, with `caches`, which rotary caches are used: a small one of
    8 rows for up to 4 positions, a large one of 16 rows.
    """
    nodes = [
        node_of("ReduceSum", ["attention_mask", "one"], ["sums"], keepdims=1),
        node_of("Sub", ["sums", "one"], ["last"]),
        node_of("Cast", ["last"], ["seqlens_k"], to=onnx.TensorProto.INT32),
        node_of("Shape", ["attention_mask"], ["shape"]),
        node_of("Gather", ["shape", "first"], ["total"]),
        node_of("Cast", ["total"], ["total_length"], to=onnx.TensorProto.INT32),
    ]
    rotary = []
    if caches:
        nodes += [node_of("Greater", ["total", "four"], ["is_long"]), chooses_caches()]
        rotary = ["cos_cache", "sin_cache"]
    previous = "x"
    for layer in range(layers):
        ends = ["", "", "seqlens_k", "total_length", *rotary]
        made = [f"a{layer}", f"key{layer}", f"value{layer}"]
        attributes = {"num_heads": HEADS, "kv_num_heads": HEADS, "do_rotary": int(caches)}
        inputs = [previous, previous, previous, *ends]
        nodes.append(node_of("GroupQueryAttention", inputs, made, domain=MICROSOFT, **attributes))
        previous = made[0]
    nodes.append(node_of("Neg", [previous], ["y"]))
    if mask_is_read:
        nodes.append(node_of("Identity", ["attention_mask"], ["z"]))
    given = [float_value("x", "batch", "length", WIDTH), value_of("attention_mask", "INT64", "batch", "total")]
    made_values = [float_value("y", "batch", "length", WIDTH)]
    made_values += [value_of("z", "INT64", "batch", "total")] if mask_is_read else []
    numbers = [whole_tensor("one", [1]), whole_tensor("first", 1), *([whole_tensor("four", 4)] if caches else [])]
    return microsoft(model_of(nodes, given, made_values, numbers))


def chooses_caches() -> onnx.NodeProto:
    def branch(word: str, rows: int) -> onnx.GraphProto:
        names = [f"{kind}_cache_{word}" for kind in ("cos", "sin")]
        nodes = [node_of("Constant", [], [name], value=weight_of(name, rows, SIZE // 2)) for name in names]
        ends = [float_value(name, rows, SIZE // 2) for name in names]
        return onnx.helper.make_graph(nodes, f"{word}_rotemb_caches_graph", [], ends)

    branches = {"then_branch": branch("large", 16), "else_branch": branch("small", 8)}
    return node_of("If", ["is_long"], ["cos_cache", "sin_cache"], **branches)


def feeds(length: int) -> dict[str, np.ndarray]:
    return {"x": random_values("x", 1, length, WIDTH), "attention_mask": np.ones((1, length), np.int64)}


def test_sequence_lengths_are_given_in_place_of_the_mask(tmp_path: Path) -> None:
    model = grouped()
    result = operated(model, tmp_path, "AttentionMaskToSequenceLengths")
    assert listed(result) == ["GroupQueryAttention", "GroupQueryAttention", "Neg"]
    assert weights(result) == set()
    ends = [(value.name, value.dtype, value.shape) for value in signature(result.model).inputs]
    assert ends[1:] == [("past_seq_len", "int32", ("batch", 1)), ("total_seq_len", "int32", ())]
    validate_graph(result.model)
    lengths = {"past_seq_len": np.asarray([[4]], np.int32), "total_seq_len": np.asarray(5, np.int32)}
    got = run_model(result.model, {"x": feeds(5)["x"], **lengths})
    np.testing.assert_array_equal(got["y"], outputs(model, tmp_path, feeds(5))["y"])


def test_a_mask_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="'attention_mask' leads elsewhere, too: Identity_z"):
        operated(grouped(mask_is_read=True), tmp_path / "a", "mask_to_sequence_lengths")
    with pytest.raises(RefusedError, match="remove_rope_multi_cache before it"):
        operated(grouped(caches=True), tmp_path / "b", "mask_to_sequence_lengths")


@pytest.mark.parametrize(
    ("step", "length", "rows"),
    [
        ("RemoveRopeMultiCache", 4, 8),
        ({"remove_rope_multi_cache": {"cache": "large"}}, 6, 16),
        ({"RemoveRopeMultiCache": {"use_large_cache": True}}, 6, 16),
    ],
    ids=["small", "large", "olive's large"],
)
def test_one_rotary_cache_stays(
    tmp_path: Path, step: str | dict[str, dict[str, str | bool]], length: int, rows: int
) -> None:
    model = grouped(caches=True)
    result = operated(model, tmp_path, step)
    assert listed(result).count("If") == listed(result).count("Greater") == 0
    assert weights(result) == {"one", "first", "cos_cache_single", "sin_cache_single"}
    sizes = {tensor.name: list(tensor.dims) for tensor in read_structure(result.model).graph.initializer}
    assert sizes["cos_cache_single"] == [rows, SIZE // 2]
    assert changed(result) == [("remove_rope_multi_cache", 2)]
    assert_equal_outputs(model, result, tmp_path, feeds(length), rtol=0)


def test_the_other_lengths_differ_as_the_documentation_says(tmp_path: Path) -> None:
    model = grouped(caches=True)
    result = operated(model, tmp_path, "remove_rope_multi_cache")
    assert not np.allclose(run_model(result.model, feeds(6))["y"], outputs(model, tmp_path, feeds(6))["y"])


def test_both_steps_as_real_workflows_have_them(tmp_path: Path) -> None:
    result = operated(grouped(caches=True), tmp_path, "RemoveRopeMultiCache", "AttentionMaskToSequenceLengths")
    assert listed(result) == ["GroupQueryAttention", "GroupQueryAttention", "Neg"]
    assert weights(result) == {"cos_cache_single", "sin_cache_single"}


LOWEST = float(np.finfo(np.float32).min)


def masked() -> onnx.ModelProto:
    """`x` plus the lowest float where `keep` is false, from an initializer, a `Constant` and a `ConstantOfShape`, softmaxed."""
    nodes = [
        node_of("Where", ["keep", "zero", "lowest"], ["mask"]),
        node_of("Constant", [], ["held"], value=float_tensor("v", [LOWEST, 1.0])),
        node_of("Mul", ["x", "held"], ["other"]),
        node_of("ConstantOfShape", ["size"], ["filled"], value=float_tensor("v", [LOWEST])),
        node_of("Expand", ["filled", "size"], ["expanded"]),
        node_of("Add", ["x", "mask"], ["sum"]),
        node_of("Softmax", ["sum"], ["y"]),
    ]
    tensors = [float_tensor("zero", 0.0), float_tensor("lowest", LOWEST), whole_tensor("size", [2])]
    ends = [float_value(name, 2) for name in ("y", "other", "expanded")]
    return model_of(nodes, [float_value("x", 2), value_of("keep", "BOOL", 2)], ends, tensors)


def test_the_lowest_float_becomes_one_that_quantizes(tmp_path: Path) -> None:
    model = masked()
    result = operated(model, tmp_path, {"ReplaceAttentionMaskValue": {"replacement": -50.0}})
    assert changed(result) == [("replace_mask_value", 3)]
    assert listed(result) == [node.op_type for node in model.graph.node]
    given = {"x": np.asarray([1, 2], np.float32), "keep": np.asarray([True, False])}
    got = run_model(result.model, given)
    np.testing.assert_array_equal(got["other"], np.asarray([-50, 2], np.float32))
    np.testing.assert_array_equal(got["expanded"], np.asarray([-50, -50], np.float32))
    np.testing.assert_allclose(got["y"], outputs(model, tmp_path, given)["y"], atol=1e-20)


def test_a_low_number_that_another_operator_reads_is_no_mask(tmp_path: Path) -> None:
    nodes = [node_of("Max", ["x", "lowest"], ["y"])]
    model = model_of(nodes, [float_value("x", 2)], [float_value("y", 2)], [float_tensor("lowest", LOWEST)])
    with pytest.raises(RefusedError, match="step replace_mask_value: found no float constant below the threshold"):
        operated(model, tmp_path, "replace_mask_value")


def packed() -> onnx.ModelProto:
    attributes = {"num_heads": HEADS, "scale": 0.3}
    nodes = [
        node_of("Neg", ["q"], ["minus"]),
        node_of("PackedAttention", ["minus", "k", "v", "ends"], ["y"], domain="custom", **attributes),
    ]
    inputs = [float_value(name, 1, HEADS, "length", SIZE) for name in "qkv"] + [value_of("ends", "INT32", "sequences")]
    model = model_of(nodes, inputs, [float_value("y", 1, "length", HEADS, SIZE)])
    model.opset_import.add(domain="custom", version=1)
    return model


def attended(values: dict[str, np.ndarray], scale: float) -> np.ndarray:
    """Attention within each sequence, from its definition (Vaswani et al. 2017): [1, length, heads, size]."""
    query, key, value = (values[name][0].astype(np.float64) for name in "qkv")
    parts = []
    for start, end in zip(values["ends"][:-1], values["ends"][1:], strict=True):
        scores = -query[:, start:end] @ key[:, start:end].transpose(0, 2, 1) * scale
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        parts.append((weights / weights.sum(-1, keepdims=True)) @ value[:, start:end])
    return np.concatenate(parts, axis=1).transpose(1, 0, 2)[None]


def test_packed_attention_is_a_loop_over_the_sequences(tmp_path: Path) -> None:
    result = operated(packed(), tmp_path, "PackedAttentionToLoopMHA")
    before = ["Neg", *["Transpose"] * 3, "Shape", *["Reshape"] * 3, "Size", "Sub", "Squeeze", "Slice"]
    assert listed(result) == [*before, "Loop", "Reshape"]
    model = read_structure(result.model)
    assert sorted(entry.domain for entry in model.opset_import) == ["", MICROSOFT]
    loop = next(node for node in model.graph.node if node.op_type == "Loop")
    body = [node.op_type for node in loop.attribute[0].g.node]
    assert body == [
        *("Reshape", "Add", "Gather", "Cast", "Gather", "Cast"),
        *("Slice", "Slice", "Slice", "MultiHeadAttention", "Concat", "Identity"),
    ]
    given = {name: random_values(name, 1, HEADS, 7, SIZE) for name in "qkv"}
    given["ends"] = np.asarray([0, 2, 3, 7], np.int32)
    validate_graph(result.model)
    # attention in float32 beside float64: some units in the last place for each of a few sums
    np.testing.assert_allclose(run_model(result.model, given)["y"], attended(given, 0.3), rtol=1e-4, atol=1e-6)
