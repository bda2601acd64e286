"""Tests of the pass `weight_only`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import onnx
import pytest
from pydantic import ValidationError

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.passes import AnyPass
from olivelike.errors import RefusedError
from olivelike.onnxfile.read import read_model, read_structure
from olivelike.testing import models, odd_models
from olivelike.testing.building import float_value, model_of, node_of, random_values, value_of, weight_of
from olivelike.testing.context import MemoryContext, run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal
from olivelike_passes.quantization.activation_statistics import ActivationStatistics
from olivelike_passes.quantization.weight_only import WeightOnly
from olivelike_passes.quantization.weight_only_config import WeightOnlyConfig
from olivelike_passes.runtime import open_session
from tests.passes.running import applied, kinds, reasons

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array


def gemm(bias: tuple[int, ...] = (24,), **attributes: float) -> onnx.ModelProto:
    """A `Gemm` with a bias of some shape: `x` float32 [batch, 40] to `y` [batch, 24]."""
    turned = bool(attributes.get("transB", 0))
    weights = [weight_of("w", *((24, 40) if turned else (40, 24))), weight_of("b", *bias)]
    nodes = [node_of("Gemm", ["x", "w", "b"], ["y"], **attributes)]
    return model_of(nodes, [float_value("x", "batch", 40)], [float_value("y", "batch", 24)], weights)


def language_model(*, width: int = 64, words: int = 50, opset: int = 21) -> onnx.ModelProto:
    """A tied table of embeddings before and behind a layer: `ids` int64 [batch] to `logits` float32 [batch, words]."""
    nodes = [
        node_of("Gather", ["table", "ids"], ["h"]),
        node_of("MatMul", ["h", "w"], ["m"]),
        node_of("Relu", ["m"], ["r"]),
        node_of("Transpose", ["table"], ["turned"], perm=[1, 0]),
        node_of("MatMul", ["r", "turned"], ["logits"]),
    ]
    weights = [weight_of("table", words, width), weight_of("w", width, width)]
    inputs, outputs = [value_of("ids", "INT64", "batch")], [float_value("logits", "batch", words)]
    return model_of(nodes, inputs, outputs, weights, opset=opset, ir_version=10)


def one_matrix(
    inputs: int = 64, outputs: int = 24, *, opset: int = 17, values: NDArray[np.generic] | None = None
) -> onnx.ModelProto:
    """`x` [batch, inputs] to `y` [batch, outputs] by one `MatMul`, of float32 or of what the values are of."""
    array = random_values("w", inputs, outputs) if values is None else values
    weight = onnx.numpy_helper.from_array(array, "w")
    kind = onnx.TensorProto.DataType.Name(weight.data_type)
    nodes = [node_of("MatMul", ["x", "w"], ["y"])]
    ends = [value_of("x", kind, "batch", array.shape[0])], [value_of("y", kind, "batch", array.shape[1])]
    return model_of(nodes, *ends, [weight], opset=opset)


def outputs_of(result: Artifact, feeds: dict[str, Array]) -> NDArray[np.float32]:
    """Returns the first output, computed in a session with the options that the artifact asks for."""
    entries = {name: str(value) for name, value in result.manifest.session.items()}
    session = open_session(result.model, result, "ENABLE_ALL", entries=entries)
    return np.asarray(session.run(None, feeds)[0], np.float32)


def error_of(model: onnx.ModelProto, folder: Path, **settings: object) -> float:
    """Returns how far a quantized model's first output is from the float model's, relative to its size."""
    before = models.save(model, folder / "float")
    result = applied(WeightOnly, model, folder, **settings)  # type: ignore[arg-type]
    feeds = dict(feeds_for(before))
    right = np.asarray(run_model(before, feeds)[model.graph.output[0].name], np.float32)
    return float(np.linalg.norm(outputs_of(result, feeds) - right) / np.linalg.norm(right))


def with_data(
    source: Artifact, entries: dict[str, dict[str, NDArray[np.float32]]], folder: Path, **settings: object
) -> Artifact:
    """Runs the pass on data of one's own."""

    def run(kind: type[AnyPass], values: dict[str, object], needed: dict[str, Artifact], name: str) -> Artifact:
        out, scratch = folder / name, folder / f"{name}-scratch"
        for each in (out, scratch):
            each.mkdir(parents=True)
        context = MemoryContext(scratch, entries, needed, seed=0)
        manifest = kind().run(source, out, kind.config.model_validate(values), context)
        return Artifact(out, manifest, "0" * 64)

    config = WeightOnlyConfig.model_validate(settings)
    needed = {
        name: run(ActivationStatistics, dict(auxiliary.config), {}, name)
        for name, auxiliary in WeightOnly().needs(config).items()
    }
    return run(WeightOnly, settings, needed, "out")


class TestWeightOnly(GraphPassContract):
    pass_type = WeightOnly
    configs = (
        {},
        {"bits": 8, "block_size": 128, "symmetric": False, "embedding_bits": 8},
        {"bits": 2, "block_size": 16, "method": "mse", "accuracy_level": 4},
    )
    accepted: ClassVar = {
        "mlp": models.mlp,
        "language model": language_model,
        "loop": odd_models.loop,
        "branches": odd_models.shared_between_branches,
    }
    refused: ClassVar = {
        "quantized": Refusal(models.quantized, "quantized already"),
        "unknown name": Refusal(models.mlp, "matches no node", {"exclude_nodes": ["nothing*"]}),
        "nothing there": Refusal(odd_models.scalars, "no MatMul, Gemm or Gather"),
        "old": Refusal(models.mlp, "opset 21", {"format": "qdq"}),
        "replaceable": Refusal(models.weights_as_inputs, "may be replaced"),
    }


@pytest.mark.parametrize("form", ["matmul_nbits", "qdq"])
@pytest.mark.parametrize("inputs", [5, 16, 33, 64, 96, 100])
@pytest.mark.parametrize("symmetric", [True, False])
def test_any_number_of_inputs_is_taken(form: str, inputs: int, symmetric: bool, tmp_path: Path) -> None:
    # A step of 8 bits is 1/256 of the range: rounding leaves some 0.3 % of error.
    model = one_matrix(inputs, opset=21)
    assert error_of(model, tmp_path, bits=8, format=form, symmetric=symmetric) < 0.01


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("method", ["rtn", "mse", "k_quant", "hqq"])
def test_every_method_is_nearer_than_the_runtimes_plain_rounding(bits: int, method: str, tmp_path: Path) -> None:
    # The runtime's own figure for 4 bits in blocks of 32 on normal weights is .107 symmetric and .09 with zero points; levels
    # twice as far apart err twice as much.
    settings = {"bits": bits, "method": method} | (
        {"symmetric": False, "zero_points": "float"} if method == "hqq" else {}
    )
    most = {2: 0.5, 3: 0.23, 4: 0.11}[bits]
    assert error_of(one_matrix(256, 96), tmp_path, **settings) < most


def test_searching_methods_beat_rounding_to_the_full_range(tmp_path: Path) -> None:
    plain, clipped, fitted = (
        error_of(one_matrix(256, 96), tmp_path / method, bits=2, method=method) for method in ("rtn", "mse", "k_quant")
    )
    assert clipped < 0.95 * plain and fitted < 0.95 * plain


def test_codes_and_scales_are_those_of_the_runtimes_quantizer(tmp_path: Path) -> None:
    from onnxruntime.capi._pybind_state import quantize_matmul_4bits

    values = random_values("w", 96, 24)
    result = read_model(applied(WeightOnly, one_matrix(96, 24), tmp_path).model)
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in result.graph.initializer}
    codes, scales, zeros = np.zeros((24, 3, 16), np.uint8), np.zeros((24, 3), np.float32), np.zeros((24, 2), np.uint8)
    quantize_matmul_4bits(codes, values, scales, zeros, 32, 24, 96, True)
    assert (held["w_scales"] == scales).all()
    # Halves may go either way: the runtime divides where we multiply by the inverse.
    assert (held["w_q4"] != codes).mean() < 0.002


@pytest.mark.parametrize("form", ["matmul_nbits", "qdq"])
@pytest.mark.parametrize(
    ("bias", "attributes"),
    [((24,), {}), ((1, 24), {"transB": 1}), ((1,), {"beta": 0.5}), ((24,), {"beta": 2.0, "transB": 1})],
)
def test_gemm_keeps_its_bias(form: str, bias: tuple[int, ...], attributes: dict[str, float], tmp_path: Path) -> None:
    model = gemm(bias, **attributes)
    model.opset_import[0].version, model.ir_version = 21, 10
    assert error_of(model, tmp_path, bits=8, format=form) < 0.01


@pytest.mark.parametrize("build", [odd_models.loop, odd_models.shared_between_branches])
def test_qdq_lies_in_the_graph_of_its_node(build: odd_models.Build, tmp_path: Path) -> None:
    # ONNX Runtime 1.32.0 fails to load QDQ in a branch whose weights lie outside of it.
    model = build()
    model.opset_import[0].version, model.ir_version = 21, 10
    assert error_of(model, tmp_path, bits=8, format="qdq") < 0.02


def test_plain_bias_goes_into_the_operator(tmp_path: Path) -> None:
    assert kinds(read_structure(applied(WeightOnly, gemm(), tmp_path).model)) == {"MatMulNBits": 1}


def test_tied_table_is_stored_once(tmp_path: Path) -> None:
    result = applied(WeightOnly, language_model(), tmp_path, embedding_bits=8)
    model = read_structure(result.model)
    assert kinds(model) == {"GatherBlockQuantized": 1, "MatMulNBits": 2, "Relu": 1, "Reshape": 1}
    names = [tensor.name for tensor in model.graph.initializer]
    assert names == ["table_q8", "table_scales", "w_q4", "w_scales", "table_block_shape"]
    assert error_of(language_model(), tmp_path / "again", bits=8, embedding_bits=8) < 0.02


def test_table_in_float_is_kept_beside_a_quantized_last_layer(tmp_path: Path) -> None:
    model = read_structure(applied(WeightOnly, language_model(), tmp_path).model)
    assert kinds(model) == {"Gather": 1, "MatMulNBits": 2, "Relu": 1}
    assert "table" in {tensor.name for tensor in model.graph.initializer}


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("symmetric", [True, False])
def test_table_of_rows_that_are_no_whole_blocks_is_looked_up(bits: int, symmetric: bool, tmp_path: Path) -> None:
    settings = {"bits": 8, "embedding_bits": bits, "symmetric": symmetric, "nodes": ["Gather*"]}
    assert error_of(language_model(width=40), tmp_path, **settings) < {2: 0.6, 4: 0.15, 8: 0.02}[bits]


@pytest.mark.parametrize("symmetric", [True, False])
def test_embeddings_in_qdq_are_gathered_as_codes(symmetric: bool, tmp_path: Path) -> None:
    settings = {"bits": 8, "embedding_bits": 8, "format": "qdq", "symmetric": symmetric}
    assert error_of(language_model(width=40), tmp_path, **settings) < 0.02
    model = read_structure(tmp_path / "run" / "out" / "model.onnx")
    assert kinds(model)["Gather"] == (2 if symmetric else 3)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("symmetric", [True, False])
def test_both_formats_compute_the_same(bits: int, symmetric: bool, tmp_path: Path) -> None:
    model = one_matrix(100, 24 if bits == 2 else 23, opset=25)
    model.ir_version = 13
    feeds = dict(feeds_for(models.save(model, tmp_path / "float")))
    outputs = [
        outputs_of(applied(WeightOnly, model, tmp_path / form, bits=bits, symmetric=symmetric, format=form), feeds)
        for form in ("matmul_nbits", "qdq")
    ]
    # The same numbers, summed up in another order.
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"symmetric": False}, {"symmetric": False, "zero_points": "float"}])
def test_half_precision_is_taken(settings: dict[str, object], tmp_path: Path) -> None:
    values = random_values("w", 64, 24).astype(np.float16)
    assert error_of(one_matrix(values=values), tmp_path, **settings) < 0.12


def test_bfloat16_is_refused_for_want_of_a_kernel(tmp_path: Path) -> None:
    import ml_dtypes

    values = random_values("w", 64, 24).astype(ml_dtypes.bfloat16)
    assert "bfloat16" in reasons(WeightOnly, one_matrix(values=values), tmp_path)[0]


@pytest.mark.parametrize("form", ["matmul_nbits", "qdq"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_constant_and_empty_channels_come_out_as_they_were(form: str, symmetric: bool, tmp_path: Path) -> None:
    values = np.zeros((64, 4), np.float32)
    values[:, 1], values[:, 2], values[:, 3] = 0.75, -3.0, 1e-39
    model = one_matrix(values=values, opset=21)
    # A block of one number is represented exactly; what is too small to divide by counts as zero.
    assert error_of(model, tmp_path, format=form, symmetric=symmetric) < 1e-6


@pytest.mark.parametrize("method", ["rtn", "mse", "k_quant"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("symmetric", [True, False])
def test_weight_that_is_not_finite_is_refused_by_name(method: str, bad: float, symmetric: bool, tmp_path: Path) -> None:
    values = random_values("w", 64, 24).copy()
    values[40, 3] = bad
    with pytest.raises(RefusedError, match="the weight 'w' holds NaN"):
        applied(WeightOnly, one_matrix(values=values), tmp_path, method=method, symmetric=symmetric)


def test_overrides_and_patterns_say_what_becomes_of_each_matrix(tmp_path: Path) -> None:
    model = models.matmul_chain(layers=4)
    names = [node.name for node in model.graph.node if node.op_type == "MatMul"]
    overrides = [{"nodes": names[0], "bits": 8, "block_size": 16}, {"nodes": names[1], "keep": True}]
    result = applied(WeightOnly, model, tmp_path, overrides=overrides, exclude_nodes=[names[2]])
    found = {node.name: node for node in read_structure(result.model).graph.node if node.name in names}
    bits = {name: next((a.i for a in node.attribute if a.name == "bits"), 0) for name, node in found.items()}
    assert bits == dict(zip(names, [8, 0, 0, 4], strict=True))
    notes = result.manifest.notes["weight_only"]
    assert notes == {
        "quantized": {"MatMul: 4 bits, blocks of 32, rtn": 1, "MatMul: 8 bits, blocks of 16, rtn": 1},
        "left": {names[1]: "kept by an override", names[2]: "not asked for"},
    }


def test_second_run_takes_what_the_first_left_if_asked_to(tmp_path: Path) -> None:
    model = models.matmul_chain(layers=2)
    first = applied(WeightOnly, model, tmp_path / "first", nodes=[model.graph.node[0].name], bits=8)
    second = applied(WeightOnly, read_model(first.model), tmp_path / "second", if_quantized="rest")
    assert kinds(read_structure(second.model))["MatMulNBits"] == 2


def test_level_of_accuracy_reaches_the_operator_or_the_session(tmp_path: Path) -> None:
    operator = read_structure(applied(WeightOnly, one_matrix(), tmp_path / "a", accuracy_level=4).model).graph.node[0]
    assert {a.name: a.i for a in operator.attribute}["accuracy_level"] == 4
    sessions = [
        applied(
            WeightOnly, one_matrix(opset=21), tmp_path / f"{level}", accuracy_level=level, format="qdq"
        ).manifest.session
        for level in (0, 4)
    ]
    assert sessions == [{"session.qdq_matmulnbits_accuracy_level": "0"}, {}]  # 4 is what the runtime takes unasked


@pytest.mark.parametrize("opset", [7, 11, 13, 17, 21, 25, 26])
def test_operator_runs_at_every_opset(opset: int, tmp_path: Path) -> None:
    assert error_of(one_matrix(opset=opset), tmp_path, bits=8) < 0.01


def test_weight_that_is_an_output_as_well_stays(tmp_path: Path) -> None:
    model = one_matrix()
    model.graph.output.append(float_value("w", 64, 24))
    result = read_structure(applied(WeightOnly, model, tmp_path).model)
    assert {tensor.name for tensor in result.graph.initializer} == {"w", "w_q4", "w_scales"}


def test_weight_of_two_nodes_is_stored_once(tmp_path: Path) -> None:
    nodes = [node_of("MatMul", ["x", "w"], ["m"]), node_of("MatMul", ["m", "w"], ["y"])]
    ends = [float_value("x", "batch", 32)], [float_value("y", "batch", 32)]
    model = model_of(nodes, *ends, [weight_of("w", 32, 32)])
    result = read_structure(applied(WeightOnly, model, tmp_path).model)
    assert [tensor.name for tensor in result.graph.initializer] == ["w_q4", "w_scales"]


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "hqq"},
        {"bits": 8, "symmetric": False, "zero_points": "float"},
        {"symmetric": False, "zero_points": "float", "format": "qdq"},
        {"embedding_bits": 4, "format": "qdq"},
    ],
)
def test_settings_that_no_kernel_takes_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WeightOnlyConfig.model_validate(settings)


def test_setting_without_effect_makes_no_other_configuration() -> None:
    assert WeightOnlyConfig.model_validate({"zero_points": "float"}) == WeightOnlyConfig()


def test_two_bits_in_qdq_need_outputs_of_whole_bytes(tmp_path: Path) -> None:
    # ONNX Runtime 1.32.0 turns them into its own operator with codes from wrong places.
    found = reasons(WeightOnly, one_matrix(64, 23, opset=25), tmp_path, bits=2, format="qdq")
    assert "23 outputs end inside a byte" in found[0]


def normed_layers() -> onnx.ModelProto:
    """Two layers behind one norm, whose scale varies a hundredfold, and one behind a `Relu`: `x` [batch, 64] to `y`."""
    scale = np.geomspace(0.1, 10, 64).astype(np.float32)
    nodes = [
        node_of("LayerNormalization", ["x", "scale", "shift"], ["n"]),
        node_of("MatMul", ["n", "a"], ["left"]),
        node_of("MatMul", ["n", "b"], ["right"]),
        node_of("Mul", ["left", "right"], ["m"]),
        node_of("Mul", ["m", "scale"], ["loud"]),
        node_of("Relu", ["loud"], ["r"]),
        node_of("MatMul", ["r", "c"], ["y"]),
    ]
    weights = [weight_of(name, 64, 64) for name in "abc"]
    weights += [onnx.numpy_helper.from_array(scale, "scale"), weight_of("shift", 64)]
    return model_of(nodes, [float_value("x", "batch", 64)], [float_value("y", "batch", 64)], weights)


class TestWeightOnlyWithData(GraphPassContract):
    pass_type = WeightOnly
    configs = (
        {"method": "gptq", "data": "data"},
        {"method": "gptq", "data": "data", "act_order": True, "bits": 2, "symmetric": False, "block_size": 16},
        {"method": "awq", "data": "data", "bits": 4},
        {"method": "k_quant", "data": "data", "embedding_bits": 8},
    )
    accepted: ClassVar = {
        "mlp": models.mlp,
        "language model": language_model,
        "norms": normed_layers,
        "loop": odd_models.loop,
    }
    refused: ClassVar = {"scalars": Refusal(odd_models.scalars, "no MatMul")}
    odd_config: ClassVar = {}  # the suite's data have a row for each sample, and some odd models have inputs without any


def test_awq_divides_in_the_norm_where_it_can_and_by_a_node_where_it_cannot(tmp_path: Path) -> None:
    result = read_structure(applied(WeightOnly, normed_layers(), tmp_path, method="awq", data="data").model)
    assert kinds(result) == {"LayerNormalization": 1, "MatMulNBits": 3, "Mul": 3, "Relu": 1}
    readers = [node for node in result.graph.node if node.op_type == "MatMulNBits"]
    assert [node.input[0] for node in readers] == ["n", "n", "r_scaled"]
    norm = next(node for node in result.graph.node if node.op_type == "LayerNormalization")
    assert list(norm.input) == ["x", "scale_scaled", "shift_scaled"]


@pytest.mark.parametrize(("method", "other"), [("awq", "rtn"), ("awq", "gptq"), ("rtn", "awq"), ("awq", "k_quant")])
def test_only_what_reads_divided_inputs_has_its_weights_scaled(method: str, other: str, tmp_path: Path) -> None:
    overrides = [{"nodes": "MatMul_right", "method": other}]  # shares its input with MatMul_left
    settings = {"method": method, "data": "data", "bits": 8, "overrides": overrides}
    assert error_of(normed_layers(), tmp_path, **settings) < 0.02  # 8 bits, twice


@pytest.mark.parametrize("form", ["matmul_nbits", "qdq"])
@pytest.mark.parametrize("method", ["awq", "gptq"])
def test_methods_that_learn_err_less_than_plain_rounding(method: str, form: str, tmp_path: Path) -> None:
    model = normed_layers()
    model.opset_import[0].version, model.ir_version = 21, 10
    source = models.save(model, tmp_path / "float")
    artifact = Artifact(source.parent, Manifest("onnx", {"model": source.name}), "0" * 64)
    draws = np.random.default_rng(0)
    mixing = draws.standard_normal((8, 64))  # inputs that go together, as those of networks do

    def samples() -> NDArray[np.float32]:
        mixed = draws.standard_normal((512, 8)) @ mixing + 0.3 * draws.standard_normal((512, 64))
        return mixed.astype(np.float32)

    data, seen = {"data": {"x": samples()}}, {"x": samples()}
    right = run_model(source, seen)["y"]

    def error(folder: Path, **settings: object) -> float:
        result = with_data(artifact, data, folder, bits=3, format=form, **settings)
        return float(np.linalg.norm(outputs_of(result, seen) - right) / np.linalg.norm(right))

    assert error(tmp_path / "learned", method=method, data="data") < 0.9 * error(tmp_path / "plain")


@pytest.mark.parametrize("method", ["gptq", "awq"])
def test_methods_that_learn_ask_for_data(method: str) -> None:
    with pytest.raises(ValidationError, match="looks at data"):
        WeightOnlyConfig.model_validate({"method": method})


def test_data_are_no_part_of_a_configuration_that_does_not_look_at_them() -> None:
    told = {"data": "data", "samples": 8, "act_order": True, "damping": 0.1}
    assert WeightOnlyConfig.model_validate(told) == WeightOnlyConfig()
    assert WeightOnlyConfig.model_validate(told | {"method": "k_quant"}).data == "data"


def test_gemm_of_half_precision_keeps_its_bias(tmp_path: Path) -> None:
    model = gemm()
    for tensor in model.graph.initializer:
        tensor.CopyFrom(
            onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor).astype(np.float16), tensor.name)
        )
    for entry in (*model.graph.input, *model.graph.output):
        entry.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    assert error_of(model, tmp_path, bits=8) < 0.01


def test_types_that_are_not_asked_for_stay(tmp_path: Path) -> None:
    assert reasons(WeightOnly, gemm(), tmp_path, op_types=["MatMul"])[0].endswith("('Gemm_y': not asked for)")


def test_most_sensitive_matrices_get_more_bits_or_stay(tmp_path: Path) -> None:
    values = random_values("rough", 64, 64).copy()
    values[::32] *= 50  # one weight in each block that leaves the others no levels
    nodes = [node_of("MatMul", ["x", "smooth"], ["m"]), node_of("MatMul", ["m", "rough"], ["y"])]
    ends = [float_value("x", "batch", 64)], [float_value("y", "batch", 64)]
    model = model_of(nodes, *ends, [weight_of("smooth", 64, 64), onnx.numpy_helper.from_array(values, "rough")])
    more, kept = (
        applied(WeightOnly, model, tmp_path / f"{bits}", most_sensitive=1, sensitive_bits=bits).manifest.notes
        for bits in (8, "float")
    )
    assert more["weight_only"] == {
        "quantized": {"MatMul: 4 bits, blocks of 32, rtn": 1, "MatMul: 8 bits, blocks of 32, rtn": 1}, "left": {},
    }  # fmt: skip
    assert kept["weight_only"]["left"] == {"MatMul_y": "among the most sensitive"}  # type: ignore[index,call-overload]


def test_convolutions_do_not_count_among_the_most_sensitive(tmp_path: Path) -> None:
    notes = applied(WeightOnly, models.conv_net(), tmp_path, most_sensitive=1).manifest.notes["weight_only"]
    assert [key.partition(",")[0] for key in notes["quantized"]] == ["Gemm: 8 bits"]  # type: ignore[index,call-overload]


def test_model_is_refused_if_every_matrix_is_among_the_most_sensitive(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"none of 3 .* among the most sensitive"):
        applied(WeightOnly, models.matmul_chain(), tmp_path, most_sensitive=99, sensitive_bits="float")
