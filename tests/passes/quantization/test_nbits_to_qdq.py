"""Tests of the pass `nbits_to_qdq`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np
import onnx
import pytest

from olivelike.onnxfile.read import read_model, read_structure
from olivelike.testing import models, odd_models
from olivelike.testing.building import float_value, model_of, node_of, weight_of
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal
from olivelike_passes.quantization.nbits_to_qdq import NBitsToQdq
from olivelike_passes.quantization.weight_only import QDQ_LEVEL, WeightOnly
from tests.passes.quantization.test_weight_only import gemm, language_model, one_matrix, outputs_of
from tests.passes.running import applied, kinds, reasons


def rounded(build: Callable[[], onnx.ModelProto], *, opset: int = 21, **settings: object) -> onnx.ModelProto:
    """Returns a model after `weight_only`."""
    model = build()
    del model.opset_import[:]
    model.opset_import.add(domain="", version=opset)
    with TemporaryDirectory() as folder:
        result = applied(WeightOnly, model, Path(folder), **settings)  # type: ignore[arg-type]
        return read_model(result.model)


class TestNBitsToQdq(GraphPassContract):
    pass_type = NBitsToQdq
    accepted: ClassVar = {
        "chain": lambda: rounded(models.matmul_chain, accuracy_level=4),
        "loop": lambda: rounded(odd_models.loop, symmetric=False),
        "branches": lambda: rounded(odd_models.shared_between_branches, bits=8),
        "tied": lambda: rounded(language_model, embedding_bits=4),
    }
    refused: ClassVar = {
        "float": Refusal(models.mlp, "no MatMulNBits"),
        "old": Refusal(lambda: rounded(models.mlp, opset=17), "opset 21"),
        "float zeros": Refusal(
            lambda: rounded(models.matmul_chain, symmetric=False, zero_points="float"), "zero points are floats"
        ),
    }


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("inputs", [32, 100])
@pytest.mark.parametrize("symmetric", [True, False])
def test_outputs_stay(bits: int, inputs: int, symmetric: bool, tmp_path: Path) -> None:
    model = rounded(lambda: one_matrix(inputs, 24), opset=25, bits=bits, symmetric=symmetric)
    before = models.save(model, tmp_path / "before")
    result = applied(NBitsToQdq, model, tmp_path)
    feeds = dict(feeds_for(before))
    # The same numbers, summed up in another order.
    np.testing.assert_allclose(run_model(before, feeds)["y"], outputs_of(result, feeds), rtol=0, atol=1e-5)
    assert kinds(read_structure(result.model)) == {"DequantizeLinear": 1, "MatMul": 1}
    assert {tensor.name for tensor in read_structure(result.model).graph.initializer} <= {
        f"w_q{bits}_{end}" for end in ("codes", "scales", "zeros")
    }
    onnx.checker.check_model(str(result.model), full_check=True)


def test_result_is_what_weight_only_writes_itself(tmp_path: Path) -> None:
    float_model = one_matrix(100, 24, opset=21)
    ours = read_model(applied(NBitsToQdq, rounded(lambda: float_model), tmp_path / "a").model)
    direct = read_model(applied(WeightOnly, float_model, tmp_path / "b", format="qdq").model)
    values = [[each.raw_data for each in model.graph.initializer] for model in (ours, direct)]
    assert values[0] == values[1]


def test_bias_becomes_an_addition(tmp_path: Path) -> None:
    model = rounded(gemm, bits=8)
    before = models.save(model, tmp_path / "before")
    result = applied(NBitsToQdq, model, tmp_path)
    assert kinds(read_structure(result.model)) == {"Add": 1, "DequantizeLinear": 1, "MatMul": 1}
    feeds = dict(feeds_for(before))
    np.testing.assert_allclose(run_model(before, feeds)["y"], outputs_of(result, feeds), rtol=0, atol=1e-5)


def test_level_of_accuracy_becomes_an_option_of_the_session_unless_it_is_the_usual_one(tmp_path: Path) -> None:
    sessions = [
        applied(NBitsToQdq, rounded(models.matmul_chain, accuracy_level=level), tmp_path / str(level)).manifest.session
        for level in (0, 4)
    ]
    assert sessions == [{QDQ_LEVEL: "0"}, {}]


def test_weights_that_are_no_constants_are_refused(tmp_path: Path) -> None:
    model = rounded(lambda: one_matrix(32, 24))
    model.graph.initializer[0].name = "elsewhere"
    model.graph.node.insert(0, node_of("Identity", ["elsewhere"], [model.graph.node[0].input[1]]))
    assert "no constants" in reasons(NBitsToQdq, model, tmp_path)[0]


def test_node_of_float_zeros_stays_beside_others(tmp_path: Path) -> None:
    nodes = [node_of("MatMul", ["x", "a"], ["m"]), node_of("MatMul", ["m", "b"], ["y"])]
    ends = [float_value("x", "batch", 32)], [float_value("y", "batch", 32)]
    build = lambda: model_of(nodes, *ends, [weight_of("a", 32, 32), weight_of("b", 32, 32)])  # noqa: E731
    first = rounded(build, nodes=["MatMul_m"], symmetric=False, zero_points="float")
    with TemporaryDirectory() as folder:
        both = read_model(applied(WeightOnly, first, Path(folder), if_quantized="rest").model)
    result = applied(NBitsToQdq, both, tmp_path)
    assert kinds(read_structure(result.model)) == {"DequantizeLinear": 1, "MatMul": 1, "MatMulNBits": 1}
    assert result.manifest.notes["nbits_to_qdq"] == {
        "rewritten": 1, "left": {"MatMul_m": "its zero points are floats"}, "accuracy_level": 0,
    }  # fmt: skip


def test_weights_laid_out_for_a_kernel_stay(tmp_path: Path) -> None:
    model = rounded(lambda: one_matrix(32, 24))
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("weight_prepacked", 1))
    assert "laid out for a kernel" in reasons(NBitsToQdq, model, tmp_path)[0]


@pytest.mark.parametrize("bits", [4, 8])
def test_weights_that_an_old_model_lists_as_inputs_are_taken_off(bits: int, tmp_path: Path) -> None:
    model = rounded(lambda: one_matrix(32, 24), bits=bits)
    model.ir_version = 3
    for held in model.graph.initializer:
        model.graph.input.append(onnx.helper.make_tensor_value_info(held.name, held.data_type, held.dims))
    result = read_model(applied(NBitsToQdq, model, tmp_path).model)
    assert [entry.name for entry in result.graph.input] == ["x"]
    assert result.ir_version >= 4
    onnx.checker.check_model(result, full_check=True)
