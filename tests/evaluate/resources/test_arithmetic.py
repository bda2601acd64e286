"""Known answers are counted by hand in the comments; all counts are exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import MetricConfig
from olivelike.contracts.outcome import Measurement, Undefined
from olivelike.errors import InputError, MeasureError
from olivelike.evaluate.resources.arithmetic import Arithmetic, ArithmeticConfig
from olivelike.testing.measure_context import MemoryContext, artifact_at
from olivelike.testing.metric_contract import MetricContract
from olivelike.testing.models import (
    attention23,
    bert_layer,
    conv_net,
    if_model,
    matmul_chain,
    mlp,
    save,
    save_external,
    unknown_operator,
)
from tests.evaluate.tiny_models import write


def numbers(artifact: Artifact, config: ArithmeticConfig | None = None) -> dict[str, float]:
    """Returns the values, all of which are defined."""
    found = Arithmetic().measure(artifact, artifact, config or ArithmeticConfig(), MemoryContext(artifact.folder))
    undefined = {name: value.reason for name, value in found.items() if isinstance(value, Undefined)}
    assert not undefined
    return {name: value.value for name, value in found.items() if isinstance(value, Measurement)}


def of(model: onnx.ModelProto, folder: Path, config: ArithmeticConfig | None = None) -> dict[str, float]:
    save(model, folder)
    return numbers(artifact_at(folder), config)


class TestArithmetic(MetricContract):
    metric = Arithmetic

    def artifact(self, folder: Path) -> Artifact:
        save(mlp(), folder)
        return artifact_at(folder)

    def context(self, folder: Path) -> MemoryContext:
        return MemoryContext(folder)

    def configs(self) -> tuple[MetricConfig, ...]:
        return (ArithmeticConfig(), ArithmeticConfig(batch=7), ArithmeticConfig(dims={"batch": 2}))


def test_two_gemm_of_a_perceptron(tmp_path: Path) -> None:
    """16 x 32 + 32 x 4 = 640 products; biases 32 + 4, relu 32. Bytes: in and out of each node, in float32."""
    read_and_written = (16 + 16 * 32 + 32 + 32) + (32 + 32) + (32 + 32 * 4 + 4 + 4)
    assert of(mlp(), tmp_path) == {"macs": 640, "operations": 2 * 640 + 68, "bytes": 4 * read_and_written}


def test_work_grows_with_the_batch_by_whichever_name(tmp_path: Path) -> None:
    for config in (ArithmeticConfig(batch=5), ArithmeticConfig(dims={"batch": 5})):
        assert of(matmul_chain(layers=2), tmp_path, config)["macs"] == 5 * 2 * 16 * 16


def test_convolutions_with_padding_a_residual_and_a_pool(tmp_path: Path) -> None:
    """8 x 8 pixels: 8 channels of 1 x 3 x 3 = 72 each, then of 8 x 3 x 3; 8 x 4 at the end.

    Others: biases 512 + 512, relus 512 + 512, sum 512, mean 512, and the bias of 4.
    """
    macs = 64 * 8 * 9 + 64 * 8 * 72 + 8 * 4
    for constants in (False, True):
        found = of(conv_net(constants=constants), tmp_path / str(constants))
        assert (found["macs"], found["operations"]) == (macs, 2 * macs + 6 * 512 + 4)


def resnet8() -> onnx.ModelProto:
    """ResNet-8 of MLPerf Tiny (Banbury et al. 2021) on 32 x 32 x 3 pictures, batch norms folded, no padding left out."""
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def conv(source: str, result: str, cin: int, cout: int, k: int, stride: int) -> None:
        weights.append(numpy_helper.from_array(np.zeros((cout, cin, k, k), np.float32), f"w_{result}"))
        pad = k // 2
        attributes: dict[str, Any] = {"strides": [stride] * 2, "pads": [pad] * 4}
        nodes.append(helper.make_node("Conv", [source, f"w_{result}"], [result], **attributes))

    def relu(source: str) -> str:
        nodes.append(helper.make_node("Relu", [source], [f"r_{source}"]))
        return f"r_{source}"

    conv("image", "stem", 3, 16, 3, 1)
    last = relu("stem")
    for stack, (cin, cout) in enumerate([(16, 16), (16, 32), (32, 64)]):
        stride = 1 if stack == 0 else 2
        conv(last, f"a{stack}", cin, cout, 3, stride)
        conv(relu(f"a{stack}"), f"b{stack}", cout, cout, 3, 1)
        if stack:
            conv(last, f"s{stack}", cin, cout, 1, stride)
        nodes.append(helper.make_node("Add", [f"b{stack}", f"s{stack}" if stack else last], [f"y{stack}"]))
        last = relu(f"y{stack}")
    nodes += [helper.make_node("GlobalAveragePool", [last], ["p"]), helper.make_node("Flatten", ["p"], ["f"])]
    nodes.append(helper.make_node("Gemm", ["f", "wd", "bd"], ["logits"]))
    weights += [numpy_helper.from_array(np.zeros(s, np.float32), n) for n, s in {"wd": (64, 10), "bd": (10,)}.items()]
    ends = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
        for n, s in [("image", ["n", 3, 32, 32]), ("logits", ["n", 10])]
    ]
    graph = helper.make_graph(nodes, "resnet8", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def test_resnet8_takes_the_twelve_and_a_half_million_products_of_the_literature(tmp_path: Path) -> None:
    """Stem 442,368; 2 x 2,359,296; 1,179,648 + 2,359,296 + 131,072; the same again; 640.

    12.5 million is what MLPerf Tiny gives for this network.
    """
    stack = 1_179_648 + 2_359_296 + 131_072
    assert of(resnet8(), tmp_path)["macs"] == 442_368 + 2 * 2_359_296 + 2 * stack + 640 == 12_501_632


def test_depthwise_and_transposed_convolutions(tmp_path: Path) -> None:
    weights = {"d": np.zeros((8, 1, 3, 3), np.float32), "t": np.zeros((8, 4, 2, 2), np.float32)}
    nodes = [
        helper.make_node("Conv", ["x", "d"], ["a"], group=8, pads=[1, 1, 1, 1]),
        helper.make_node("ConvTranspose", ["a", "t"], ["y"], strides=[2, 2]),
    ]
    artifact = write(tmp_path, nodes, {"x": ("n", 8, 5, 5)}, {"y": ("n", 4, 10, 10)}, weights)
    assert numbers(artifact)["macs"] == 8 * 25 * 9 + 8 * 25 * 4 * 4


def test_attention_of_opset_23(tmp_path: Path) -> None:
    """Four projections of 4 x 16 x 16; 2 heads of width 8: 2 x 4 x 4 scores, each 8 + 8 products and a softmax."""
    found = of(attention23(), tmp_path)
    macs = 4 * 4 * 16 * 16 + 2 * 4 * 4 * (8 + 8)
    assert (found["macs"], found["operations"]) == (macs, 2 * macs + 5 * 32)


@pytest.mark.parametrize(
    ("kind", "inputs", "weights", "attributes", "macs"),
    [
        ("Attention", ["x", "w", "b"], {"w": (16, 48), "b": (48,)}, {"num_heads": 2}, 4 * 16 * 48 + 2 * 4 * 4 * 16),
        ("MultiHeadAttention", ["x", "x", "x"], {}, {"num_heads": 4}, 4 * 4 * 4 * 8),
        ("GroupQueryAttention", ["x", "k", "k"], {"k": (1, 4, 8)}, {"num_heads": 2, "kv_num_heads": 1}, 2 * 4 * 4 * 16),
    ],
)
def test_attention_of_the_runtime(
    kind: str,
    inputs: list[str],
    weights: dict[str, tuple[int, ...]],
    attributes: dict[str, Any],
    macs: int,
    tmp_path: Path,
) -> None:
    """4 positions of width 16: heads x 4 x 4 scores, each twice the head's width; a projection to 48 where it is fused in.

    A `Relu` and a product by 16 x 3 come after it, so that its output's shape must be known.
    """
    nodes = [
        helper.make_node(kind, inputs, ["a"], domain="com.microsoft", **attributes),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("MatMul", ["r", "last"], ["y"]),
    ]
    arrays = {name: np.zeros(shape, np.float32) for name, shape in {**weights, "last": (16, 3)}.items()}
    artifact = write(tmp_path, nodes, {"x": ("n", 4, 16)}, {"y": ("n", 4, 3)}, arrays)
    assert numbers(artifact)["macs"] == macs + 4 * 16 * 3


def test_queries_packed_with_their_keys_are_not_guessed_at(tmp_path: Path) -> None:
    attributes: dict[str, Any] = {"num_heads": 2, "kv_num_heads": 1}
    nodes = [helper.make_node("GroupQueryAttention", ["x", "", ""], ["y"], domain="com.microsoft", **attributes)]
    artifact = write(tmp_path, nodes, {"x": ("n", 4, 16)}, {"y": ("n", 4, 8)})
    found = Arithmetic().measure(artifact, artifact, ArithmeticConfig(), MemoryContext(tmp_path))["macs"]
    assert isinstance(found, Undefined)
    assert "GroupQueryAttention" in found.reason


def test_shapes_that_the_file_gives_for_other_sizes_are_not_believed(tmp_path: Path) -> None:
    model = matmul_chain(layers=2)
    model.graph.value_info.append(helper.make_tensor_value_info("m0", TensorProto.FLOAT, [1, 16]))
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1
    assert of(model, tmp_path, ArithmeticConfig(batch=3))["macs"] == 3 * 2 * 16 * 16


def test_a_model_that_names_no_operator_set_is_refused(tmp_path: Path) -> None:
    model = matmul_chain()
    model.opset_import[0].domain = "elsewhere"
    save(model, tmp_path)
    artifact = artifact_at(tmp_path)
    with pytest.raises(MeasureError, match=r"OL504: shapes cannot be inferred: .*No opset import"):
        Arithmetic().measure(artifact, artifact, ArithmeticConfig(), MemoryContext(tmp_path))


def test_sizes_that_do_not_go_together_leave_the_values_undefined(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    artifact = write(tmp_path, nodes, {"x": ("n", 4)}, {"y": ("m", 4)}, {"w": np.zeros((3, 4), np.float32)})
    assert numbers(artifact, ArithmeticConfig(batch=3))["operations"] == 12
    found = Arithmetic().measure(artifact, artifact, ArithmeticConfig(batch=2), MemoryContext(tmp_path))["operations"]
    assert isinstance(found, Undefined)


def test_a_lstm(tmp_path: Path) -> None:
    """6 steps of a batch of 2: four gates of 5 units over 3 inputs and 5 states, biases, 9 operations for each unit."""
    weights = {
        "w": np.zeros((1, 20, 3), np.float32),
        "r": np.zeros((1, 20, 5), np.float32),
        "b": np.zeros((1, 40), np.float32),
    }
    nodes = [helper.make_node("LSTM", ["x", "w", "r", "b"], ["y"], hidden_size=5)]
    artifact = write(tmp_path, nodes, {"x": ("t", "n", 3)}, {"y": ("t", 1, "n", 5)}, weights)
    found = numbers(artifact, ArithmeticConfig(dims={"t": 6, "n": 2}))
    assert found["macs"] == 12 * 20 * 8
    assert found["operations"] == 2 * found["macs"] + 12 * (20 + 5 * 9)


def test_a_shape_that_is_computed_in_the_graph_is_followed(tmp_path: Path) -> None:
    weights = {"w": np.zeros((8, 2), np.float32), "rest": np.array([-1, 8]), "none": np.array([0])}
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "none"], ["n"]),
        helper.make_node("Concat", ["n", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["m"]),
        helper.make_node("MatMul", ["m", "w"], ["y"]),
    ]
    artifact = write(tmp_path, nodes, {"x": ("n", "length", 4)}, {"y": ("n", "m", 2)}, weights)
    found = numbers(artifact, ArithmeticConfig(batch=3, dims={"length": 10}))
    assert found["macs"] == 3 * 5 * 8 * 2
    assert found["bytes"] == 4 * (3 * 5 * 8 + 8 * 2 + 3 * 5 * 2), "reshaping and shapes move nothing"


def test_the_table_of_an_embedding_is_not_read_in_full(tmp_path: Path) -> None:
    weights = {"table": np.zeros((1000, 8), np.float32)}
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "tokens"], ["y"])],
        "embedding",
        [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["n", "length"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "length", 8])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    found = of(model, tmp_path, ArithmeticConfig(dims={"length": 5}))
    assert found == {"macs": 0, "operations": 0, "bytes": 2 * 5 * 8 * 4 + 5 * 8}


def test_what_depends_on_weights_alone_is_done_at_load(tmp_path: Path) -> None:
    nodes = [helper.make_node("Mul", ["w", "w"], ["ww"]), helper.make_node("MatMul", ["x", "ww"], ["y"])]
    artifact = write(tmp_path, nodes, {"x": ("n", 4)}, {"y": ("n", 4)}, {"w": np.zeros((4, 4), np.float32)})
    assert numbers(artifact)["operations"] == 2 * 16


def test_external_weights_need_not_be_read(tmp_path: Path) -> None:
    path = save_external(matmul_chain(width=64), tmp_path)
    artifact = artifact_at(tmp_path)
    path.with_name("model.onnx.data").write_bytes(b"")
    assert numbers(artifact)["macs"] == 3 * 64 * 64


@pytest.mark.parametrize("level", ["EXTENDED", "ALL"])
def test_fusing_keeps_the_count(level: str, tmp_path: Path) -> None:
    """The runtime fuses norms, activations and residuals of this block into its own operators; the work stays the same.

    Within 3 %: written-out norms count the mean of each row one by one, fused ones by a round number for each element.
    """
    import onnxruntime

    path = save(bert_layer(), tmp_path / "plain")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
    (tmp_path / "fused").mkdir()
    options.optimized_model_filepath = str(tmp_path / "fused" / "model.onnx")
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    fused = onnx.load(tmp_path / "fused" / "model.onnx")
    assert {"SkipLayerNormalization", "BiasGelu"} <= {node.op_type for node in fused.graph.node}
    plain, now = numbers(artifact_at(tmp_path / "plain")), numbers(artifact_at(tmp_path / "fused"))
    assert now["macs"] == plain["macs"]
    assert now["operations"] == pytest.approx(plain["operations"], rel=0.03)
    assert now["bytes"] < plain["bytes"]


def test_quantizing_dynamically_keeps_the_products_and_moves_fewer_bytes(tmp_path: Path) -> None:
    from onnxruntime.quantization import quantize_dynamic

    path = save(matmul_chain(width=64), tmp_path / "float")
    (tmp_path / "int8").mkdir()
    quantize_dynamic(path, tmp_path / "int8" / "model.onnx")
    plain, now = numbers(artifact_at(tmp_path / "float")), numbers(artifact_at(tmp_path / "int8"))
    assert now["macs"] == plain["macs"]
    assert now["bytes"] < plain["bytes"] / 2


def test_weights_of_four_bits_count_their_products_and_their_bytes(tmp_path: Path) -> None:
    """64 x 32 products for each of 3 rows; weights 32 x 2 x 16 bytes, scales 32 x 2 in float32."""
    node = helper.make_node(
        "MatMulNBits", ["x", "w", "s"], ["h"], domain="com.microsoft", K=64, N=32, bits=4, block_size=32
    )
    weights = {"w": np.zeros((32, 2, 16), np.uint8), "s": np.zeros(64, np.float32)}
    nodes = [node, helper.make_node("Relu", ["h"], ["y"])]
    artifact = write(tmp_path, nodes, {"x": ("n", 64)}, {"y": ("n", 32)}, weights)
    found = numbers(artifact, ArithmeticConfig(batch=3))
    assert found["macs"] == 3 * 64 * 32
    assert found["operations"] == 2 * found["macs"] + 3 * 32
    assert found["bytes"] == 4 * 3 * 64 + 32 * 2 * 16 + 4 * 64 + 4 * 3 * 32 * 3


@pytest.mark.parametrize(("model", "said"), [(unknown_operator(), "Mystery"), (if_model(), "If")])
def test_what_nobody_can_count_leaves_the_values_undefined_and_is_named(
    model: onnx.ModelProto, said: str, tmp_path: Path
) -> None:
    save(model, tmp_path)
    artifact = artifact_at(tmp_path)
    found = Arithmetic().measure(artifact, artifact, ArithmeticConfig(), MemoryContext(tmp_path))
    for value in found.values():
        assert isinstance(value, Undefined)
        assert value.reason.startswith(f"cannot be counted for {said} ")


def test_a_shape_that_depends_on_the_values_leaves_the_values_undefined(tmp_path: Path) -> None:
    nodes = [helper.make_node("Compress", ["x", "keep"], ["c"], axis=0), helper.make_node("Relu", ["c"], ["y"])]
    weights = {"keep": np.array([True, False])}
    artifact = write(tmp_path, nodes, {"x": ("n", 4)}, {"y": ("m", 4)}, weights)
    found = Arithmetic().measure(artifact, artifact, ArithmeticConfig(), MemoryContext(tmp_path))["macs"]
    assert isinstance(found, Undefined)
    assert "Relu 'y' (the shape of 'c' is not known)" in found.reason


def test_a_function_of_the_model_s_own_is_looked_into(tmp_path: Path) -> None:
    model = onnx.parser.parse_model("""
        <ir_version: 9, opset_import: ["": 17, "own": 1]>
        agraph (float[n, 4] x, float[4, 2] w) => (float[n, 2] y) { y = own.dense(x, w) }
        <domain: "own", opset_import: ["": 17]> dense (a, b) => (c) { d = MatMul(a, b) c = Relu(d) }
    """)
    assert of(model, tmp_path, ArithmeticConfig(batch=3))["operations"] == 2 * 3 * 4 * 2 + 3 * 2


def test_an_unknown_dimension_is_refused(tmp_path: Path) -> None:
    save(mlp(), tmp_path)
    artifact = artifact_at(tmp_path)
    with pytest.raises(InputError, match=r"OL206 dims.length"):
        Arithmetic().measure(artifact, artifact, ArithmeticConfig(dims={"length": 2}), MemoryContext(tmp_path))
