"""Tests of the pass `mixed_float`: what overflows and what hurts is found by running, and nothing else stays wide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest
from onnx import TensorProto

from olivelike.errors import RefusedError
from olivelike.onnxfile.read import read_structure
from olivelike.testing import models
from olivelike.testing.building import float_tensor, float_value, model_of, node_of, weight_of
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal
from olivelike_passes.precision.mixed_float import MixedFloat
from tests.passes.running import applied

if TYPE_CHECKING:
    from onnx import ModelProto

DATA: dict[str, object] = {"data": "data"}


class TestMixedFloat(GraphPassContract):
    pass_type = MixedFloat
    configs = (DATA, {**DATA, "keep_io_types": False})
    accepted: ClassVar = {"conv_net": models.conv_net, "mlp": models.mlp}
    refused: ClassVar = {
        "half": Refusal(models.half, "half precision already", DATA),
        "quantized": Refusal(models.quantized, "dequantize", DATA),
        "opset": Refusal(lambda: models.mlp(opset=7), "convert_opset", DATA),
    }


def overflowing() -> ModelProto:
    """`x` float32 [batch, 8], a product, its values scaled beyond float16 and back, another product: to `y` [batch, 8]."""
    nodes = [
        node_of("MatMul", ["x", "w"], ["a"]),
        node_of("Mul", ["a", "large"], ["b"]),
        node_of("Mul", ["b", "small"], ["c"]),
        node_of("MatMul", ["c", "v"], ["y"]),
    ]
    weights = [weight_of("w", 8, 8), weight_of("v", 8, 8), float_tensor("large", 6e4), float_tensor("small", 1 / 6e4)]
    return model_of(nodes, [float_value("x", "batch", 8)], [float_value("y", "batch", 8)], weights)


def cancelling() -> ModelProto:
    """`x` float32 [batch, 8] with 3000 added and taken away again, which leaves float16 two bits, then a product to `y`."""
    nodes = [
        node_of("MatMul", ["x", "w"], ["a"]),
        node_of("Add", ["a", "much"], ["b"]),
        node_of("Sub", ["b", "much"], ["c"]),
        node_of("MatMul", ["c", "v"], ["y"]),
    ]
    weights = [weight_of("w", 8, 8), weight_of("v", 8, 8), float_tensor("much", 3000.0)]
    return model_of(nodes, [float_value("x", "batch", 8)], [float_value("y", "batch", 8)], weights)


def test_what_overflows_stays_with_who_reads_it(tmp_path: Path) -> None:
    result = applied(MixedFloat, overflowing(), tmp_path, data="data")
    kept = result.manifest.notes["mixed_float"]["kept"]  # type: ignore[index, call-overload]
    assert set(kept) == {"Mul_b", "Mul_c"}  # type: ignore[arg-type]
    assert "beyond 65504" in kept["Mul_b"]  # type: ignore[index, call-overload, operator]
    types = {tensor.name: tensor.data_type for tensor in read_structure(result.model).graph.initializer}
    assert (types["w"], types["v"], types["large"]) == (TensorProto.FLOAT16, TensorProto.FLOAT16, TensorProto.FLOAT)


def test_what_costs_precision_is_found_by_bisection(tmp_path: Path) -> None:
    result = applied(MixedFloat, cancelling(), tmp_path, data="data")
    notes = result.manifest.notes["mixed_float"]
    # The sum is where the bits go, and the difference must read it unrounded.
    assert set(notes["kept"]) == {"Add_b", "Sub_c"}  # type: ignore[arg-type, index, call-overload]
    assert notes["error"] <= notes["tolerance"]  # type: ignore[index, call-overload, operator]


def test_harmless_model_is_all_half(tmp_path: Path) -> None:
    result = applied(MixedFloat, models.mlp(), tmp_path, data="data")
    assert result.manifest.notes["mixed_float"]["kept"] == {}  # type: ignore[index, call-overload]
    assert result.manifest.notes["mixed_float"]["trials"] == 1  # type: ignore[index, call-overload]


def test_tighter_tolerance_keeps_more_and_one_too_tight_is_refused(tmp_path: Path) -> None:
    model = models.matmul_chain(layers=6)
    first = applied(MixedFloat, model, tmp_path / "loose", data="data").manifest.notes["mixed_float"]
    assert first["kept"] == {}  # type: ignore[index, call-overload]
    tolerance = 0.7 * first["error"]  # type: ignore[index, call-overload, operator]
    second = applied(MixedFloat, model, tmp_path / "tight", data="data", tolerance=tolerance).manifest.notes[
        "mixed_float"
    ]
    assert 0 < len(second["kept"]) < 6  # type: ignore[index, call-overload, arg-type]
    with pytest.raises(RefusedError, match="no node can be float16"):
        applied(MixedFloat, model, tmp_path / "none", data="data", tolerance=1e-7)


def test_model_that_gives_no_numbers_is_refused(tmp_path: Path) -> None:
    nodes = [node_of("MatMul", ["x", "w"], ["a"]), node_of("Log", ["a"], ["y"])]
    model = model_of(nodes, [float_value("x", 4, 8)], [float_value("y", 4, 8)], [weight_of("w", 8, 8)])
    with pytest.raises(RefusedError, match="NaN or infinities"):
        applied(MixedFloat, model, tmp_path, data="data")
