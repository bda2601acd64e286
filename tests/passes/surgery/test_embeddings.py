"""Tables of embeddings that the last layer shares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from olivelike.errors import RefusedError
from olivelike.onnxfile.read import read_structure
from olivelike.testing.building import float_value, model_of, node_of, random_values, value_of
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

ROWS, WIDTH = 24, 64


def tensor(name: str, values: np.ndarray) -> onnx.TensorProto:
    made: onnx.TensorProto = onnx.numpy_helper.from_array(np.ascontiguousarray(values), name)
    return made


def language_model(*, head: np.ndarray | None = None, opset: int = 17) -> onnx.ModelProto:
    """`input_ids` int64 [batch, length] to `logits` float32 [batch, length, 24] through a table and its transpose."""
    table = random_values("table", ROWS, WIDTH)
    nodes = [
        node_of("Gather", ["table", "input_ids"], ["e"]),
        node_of("Tanh", ["e"], ["h"]),
        node_of("MatMul", ["h", "head"], ["logits"]),
    ]
    nodes[0].name = "/model/embed_tokens/Gather"
    weights_of = [tensor("table", table), tensor("head", table.T if head is None else head)]
    ends = [value_of("input_ids", "INT64", "batch", "length")], [float_value("logits", "batch", "length", ROWS)]
    return model_of(nodes, *ends, weights_of, opset=opset)


def test_equal_weights_are_stored_once(tmp_path: Path) -> None:
    model = language_model()
    result = operated(model, tmp_path, "TieWordEmbeddings")
    assert listed(result) == ["Gather", "Tanh", "Reshape", "Gemm", "Shape", "Slice", "Concat", "Reshape"]
    assert "head" not in weights(result)
    assert result.model.stat().st_size < 0.6 * len(model.SerializeToString())
    assert_equal_outputs(model, result, tmp_path)


def test_weights_that_differ_in_one_bit_are_not_tied(tmp_path: Path) -> None:
    head = random_values("table", ROWS, WIDTH).T.copy()
    head[-1, -1] = np.nextafter(head[-1, -1], np.float32(9))
    with pytest.raises(
        RefusedError, match="the weight of 'MatMul_logits' has the size of the table, but not its values"
    ):
        operated(language_model(head=head), tmp_path, "tie_embeddings")


def test_a_table_that_is_the_last_layers_weight_turned_is_tied_already(tmp_path: Path) -> None:
    model = language_model()
    model.graph.node.insert(0, node_of("Transpose", ["head"], ["turned"], perm=[1, 0]))
    model.graph.node[1].input[0] = "turned"
    del model.graph.initializer[0]
    with pytest.raises(RefusedError, match="the table is made of another weight already"):
        operated(model, tmp_path, "tie_embeddings")


def test_tying_says_what_is_missing(tmp_path: Path) -> None:
    tied = read_structure(operated(language_model(), tmp_path / "first", "tie_embeddings").model)
    with pytest.raises(RefusedError, match="step tie_embeddings: the last layer reads the table already"):
        operated(tied, tmp_path / "again", "tie_embeddings")
    with pytest.raises(RefusedError, match="found no MatMul by a constant of the size of the table transposed"):
        operated(language_model(head=random_values("head", WIDTH, 8)), tmp_path / "other", "tie_embeddings")
    with pytest.raises(RefusedError, match=r"needs opset 11, the model has 10\. hint: convert_opset"):
        operated(language_model(opset=10), tmp_path / "old", "tie_embeddings")


def quantized_model(*, bits: int = 8, head_bits: int = 8, same: bool = True, bias: bool = False) -> onnx.ModelProto:
    """The model above with 32 values of a row to a scale; `same` gives the last layer copies of the table's parts."""
    draws = np.random.default_rng(0)
    blocks = WIDTH // 32
    per_byte = 8 // bits
    data = draws.integers(0, 256, (ROWS, WIDTH // per_byte), np.uint8)
    scales = draws.uniform(0.01, 0.02, (ROWS, blocks)).astype(np.float32)
    zero_points = np.full((ROWS, blocks // per_byte), 128 if bits == 8 else 0x88, np.uint8)
    width = WIDTH * head_bits // 8 // blocks
    other = draws.integers(0, 256, (ROWS, blocks, width), np.uint8)
    head = data.reshape(ROWS, blocks, -1) if same else other
    parts = {"table": data, "scales": scales, "zero_points": zero_points}
    parts |= {"head": head, "head_scales": scales.copy()}
    parts |= {"head_zero_points": zero_points.copy()} if same else {}
    parts |= {"b": random_values("b", ROWS)} if bias else {}
    given = ["h", "head", "head_scales", "head_zero_points" if same else "", "", "b" if bias else ""]
    while not given[-1]:
        given.pop()
    form = {"bits": bits, "block_size": 32, "gather_axis": 0, "quantize_axis": 1}
    nodes = [
        node_of(
            "GatherBlockQuantized", ["table", "input_ids", "scales", "zero_points"], ["e"], domain=MICROSOFT, **form
        ),
        node_of("Tanh", ["e"], ["h"]),
        node_of("MatMulNBits", given, ["logits"], domain=MICROSOFT, bits=head_bits, block_size=32, K=WIDTH, N=ROWS),
    ]
    ends = [value_of("input_ids", "INT64", "batch", "length")], [float_value("logits", "batch", "length", ROWS)]
    return microsoft(model_of(nodes, *ends, [tensor(name, values) for name, values in parts.items()]))


@pytest.mark.parametrize("bits", [4, 8])
def test_equal_quantized_weights_are_stored_once(tmp_path: Path, bits: int) -> None:
    model = quantized_model(bits=bits, head_bits=bits)
    result = operated(model, tmp_path, "tie_embeddings")
    assert listed(result) == ["GatherBlockQuantized", "Tanh", "Reshape", "MatMulNBits"]
    head = read_structure(result.model).graph.node[-1]
    assert list(head.input[2:]) == ["scales", "zero_points"]
    assert not {"head", "head_scales", "head_zero_points"} & weights(result)
    assert_equal_outputs(model, result, tmp_path, rtol=0)


def test_different_quantized_weights_are_not_tied(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="has the size of the table, but not its values"):
        operated(quantized_model(same=False), tmp_path, "tie_embeddings")


def rounded(bits: int, *, bias: bool) -> onnx.ModelProto:
    """The model above whose last layer holds the table's values again, rounded to fewer bits, without zero points."""
    table = quantized_model(bias=bias)
    held = {each.name: onnx.numpy_helper.to_array(each) for each in table.graph.initializer}
    floats = (held["table"].astype(np.float32) - 128).reshape(ROWS, -1, 32) * held["scales"][:, :, None]
    top = 2 ** (bits - 1)
    scales = np.abs(floats).max(axis=2) / (top - 1)
    whole = (np.rint(floats / scales[:, :, None]) + top).astype(np.uint8).reshape(ROWS, WIDTH // 32, -1, 8 // bits)
    packed = sum(whole[..., place] << (place * bits) for place in range(8 // bits))
    model = quantized_model(same=False, head_bits=bits, bias=bias)
    for each in model.graph.initializer:
        if each.name in ("head", "head_scales"):
            each.CopyFrom(
                tensor(each.name, packed.astype(np.uint8) if each.name == "head" else scales.astype(np.float32))
            )
    return model


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_last_layer_computes_with_the_table(tmp_path: Path, bits: int, bias: bool) -> None:
    model = rounded(bits, bias=bias)
    result = operated(model, tmp_path, "ShareEmbeddingLmHead")
    assert listed(result) == ["GatherBlockQuantized", "Tanh", "Reshape", "MatMulNBits"]
    assert not {"head", "head_scales"} & weights(result)
    same = quantized_model(same=True, bias=bias)
    assert_equal_outputs(same, result, tmp_path, rtol=0)


def test_weights_that_are_not_the_embeddings_are_not_replaced_by_them(tmp_path: Path) -> None:
    with pytest.raises(
        RefusedError, match=r"the weights of 'MatMulNBits_logits' are not the embeddings \(cosine -?0\.0"
    ):
        operated(quantized_model(same=False, head_bits=4), tmp_path, "share_embedding_lm_head")


def test_sharing_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="found no GatherBlockQuantized of 8 bits"):
        operated(quantized_model(bits=4, head_bits=4), tmp_path / "four", "share_embedding_lm_head")
    shared = read_structure(operated(quantized_model(), tmp_path / "first", "share_embedding_lm_head").model)
    with pytest.raises(RefusedError, match="found 0 MatMulNBits with N = 24 and K = 64 besides the table's own"):
        operated(shared, tmp_path / "again", "share_embedding_lm_head")


def largest_gap(model: onnx.ModelProto, result: Path, folder: Path) -> float:
    ids = {"input_ids": np.arange(ROWS, dtype=np.int64).reshape(2, -1)}
    return float(np.abs(run_model(result, ids)["e"] - outputs(model, folder, ids)["e"]).max())


@pytest.mark.parametrize(
    ("step", "expected", "opset"),
    [
        ("QuantizeEmbeddingInt8", ["GatherBlockQuantized", "Tanh"], 17),
        ({"quantize_embedding_int8": {"block_size": 16}}, ["GatherBlockQuantized", "Tanh"], 17),
        (
            {"quantize_embedding_int8": {"operator": "dequantize_linear", "node": "*embed*"}},
            ["Gather", "Gather", "DequantizeLinear", "Tanh"],
            21,
        ),
    ],
    ids=["fused", "small blocks", "ONNX's own"],
)
@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
def test_a_table_in_8_bits_is_at_most_half_a_scale_off(
    tmp_path: Path, step: str | dict[str, dict[str, str | int]], expected: list[str], opset: int, half: bool
) -> None:
    kind = np.float16 if half else np.float32
    table = random_values("table", ROWS, WIDTH).astype(kind)
    table[3] = 0
    nodes = [node_of("Gather", ["table", "input_ids"], ["e"]), node_of("Tanh", ["e"], ["y"])]
    entry = onnx.helper.make_tensor_value_info
    made = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    ends = [entry(name, made, ["batch", "length", WIDTH]) for name in ("e", "y")]
    given = [value_of("input_ids", "INT64", "batch", "length")]
    nodes[0].name = "embed_tokens"
    model = model_of(nodes, given, ends, [tensor("table", table)], opset=opset, ir_version=10)
    result = operated(model, tmp_path, step)
    assert listed(result) == expected
    assert "table" not in weights(result)
    block = 16 if isinstance(step, dict) and "block_size" in step["quantize_embedding_int8"] else 32
    scale = np.abs(table.astype(np.float32).reshape(ROWS, -1, block)).max() / 127
    # half a scale, and of float16 the rounding of the scale (2^-11) and of the product (2^-11) times the largest value
    slack = 127 * scale * 2.0**-10 if half else 1e-7
    assert largest_gap(model, result.model, tmp_path) <= scale / 2 + slack


def test_quantizing_then_sharing_as_real_workflows_do(tmp_path: Path) -> None:
    model = language_model()
    two = operated(model, tmp_path / "two", "QuantizeEmbeddingInt8")
    assert listed(two) == ["GatherBlockQuantized", "Tanh", "MatMul"]
    assert changed(two) == [("quantize_embedding_int8", 1)]


def test_several_tables_that_could_be_meant_are_named(tmp_path: Path) -> None:
    model = language_model()
    model.graph.node[0].name = "words"
    model.graph.node.insert(1, node_of("Gather", ["types", "input_ids"], ["t"]))
    model.graph.initializer.append(tensor("types", random_values("types", ROWS, WIDTH)))
    model.graph.node.append(node_of("Neg", ["t"], ["z"]))
    model.graph.output.append(float_value("z", "batch", "length", WIDTH))
    with pytest.raises(RefusedError, match="several tables could be meant: words, Gather_t"):
        operated(model, tmp_path / "both", "quantize_embedding_int8")
    one = operated(model, tmp_path / "one", {"quantize_embedding_int8": {"node": "w*"}})
    assert listed(one).count("Gather") == 1
    with pytest.raises(RefusedError, match=r"found no Gather along axis 0 .* that is called 'v"):
        operated(model, tmp_path / "none", {"quantize_embedding_int8": {"node": "v*"}})


def test_rows_that_are_not_whole_blocks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"rows of 64 are not whole blocks of 128\. hint: another block_size"):
        operated(language_model(), tmp_path, {"quantize_embedding_int8": {"block_size": 128}})


def ordered(order: np.ndarray, *, bias: bool) -> onnx.ModelProto:
    draws = np.random.default_rng(0)
    parts = {
        "w": draws.integers(0, 256, (8, 2, 16), np.uint8),
        "s": draws.uniform(0.1, 0.2, (8, 2)).astype(np.float32),
        "layer.g_idx": order.astype(np.int32),
        "b": random_values("b", 8),
    }
    given = ["x", "w", "s", "", "layer.g_idx", *(["b"] if bias else [])]
    node = node_of("MatMulNBits", given, ["y"], domain=MICROSOFT, bits=4, block_size=32, K=64, N=8)
    held = [tensor(name, values) for name, values in parts.items() if name in given]
    return microsoft(model_of([node], [float_value("x", 3, 64)], [float_value("y", 3, 8)], held))


@pytest.mark.parametrize("bias", [False, True])
def test_an_order_that_orders_nothing_goes(tmp_path: Path, bias: bool) -> None:
    model = ordered(np.arange(64) // 32, bias=bias)
    result = operated(model, tmp_path, "RemoveGidxFromMatMulNBits")
    node = read_structure(result.model).graph.node[0]
    assert list(node.input) == (["x", "w", "s", "", "", "b"] if bias else ["x", "w", "s"])
    assert "layer.g_idx" not in weights(result)
    assert_equal_outputs(model, result, tmp_path)


def test_an_order_that_means_something_stays(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="found 1 MatMulNBits with a constant g_idx, none of which is the order"):
        operated(ordered(np.arange(64)[::-1] // 32, bias=False), tmp_path, "remove_g_idx")
