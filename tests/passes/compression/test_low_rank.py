"""Tests of the pass `low_rank`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest

from olivelike.onnxfile.read import read_model, read_structure
from olivelike.testing import models
from olivelike.testing.building import float_value, model_of, node_of, weight_of
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal, gap_between
from olivelike_passes.compression.factors import Spectrum
from olivelike_passes.compression.low_rank import LowRank, LowRankConfig
from tests.passes.compression.test_cluster import infinite, wide
from tests.passes.running import applied, artifact, kinds


def thin(name: str, rows: int, columns: int, rank: int) -> onnx.TensorProto:
    one, other = (onnx.numpy_helper.to_array(weight_of(f"{name}{i}", rows, columns)) for i in (1, 2))
    return onnx.numpy_helper.from_array((one[:, :rank] @ other[:rank]).astype(np.float32), name)


def redundant() -> onnx.ModelProto:
    """A `MatMul` of rank 3 and a `Gemm` with `transB` and bias of rank 5, both 40 wide; `x` float32 [2, 40] to `y` [2, 40]."""
    nodes = [node_of("MatMul", ["x", "w"], ["h"]), node_of("Gemm", ["h", "g", "b"], ["y"], transB=1)]
    weights = [thin("w", 40, 40, 3), thin("g", 40, 40, 5), weight_of("b", 40)]
    return model_of(nodes, [float_value("x", 2, 40)], [float_value("y", 2, 40)], weights)


class TestLowRank(GraphPassContract):
    pass_type = LowRank
    configs = ({"energy": 0.999999}, {"rank": 4}, {"rank": 4, "data": "data", "samples": 8})
    accepted: ClassVar = {"redundant": redundant}
    odd_config: ClassVar = {"rank": 1, "least_saving": 0.0}
    refused: ClassVar = {
        "full": Refusal(wide, "no weight gets smaller by 10% at an energy of 0.999", {"energy": 0.999}),
        "quantized": Refusal(models.quantized, "quantized already"),
        "infinite": Refusal(infinite, "the weight 'w' holds NaN or an infinity"),
        "convolution": Refusal(models.unfolded, "no MatMul or Gemm with a constant matrix"),
    }


def test_what_has_a_low_rank_is_split_without_loss(tmp_path: Path) -> None:
    model = redundant()
    source = artifact(model, tmp_path / "before").model
    result = applied(LowRank, model, tmp_path, energy=0.999999)
    assert {t.name: tuple(t.dims) for t in read_model(result.model).graph.initializer} == {
        "w_narrow": (40, 3), "w_wide": (3, 40), "g_narrow": (40, 5), "g_wide": (5, 40), "b": (40,)
    }  # fmt: skip
    feeds = feeds_for(source)
    assert gap_between(run_model(source, feeds)["y"], run_model(result.model, feeds)["y"]) < 1e-4
    assert result.manifest.notes["low_rank"]["MatMul_h"] == {"rank": 3, "kept": 1.0}  # type: ignore[index,call-overload]
    assert kinds(read_structure(result.model)) == {"MatMul": 3, "Gemm": 1}


def test_directions_that_data_never_take_cost_no_rank() -> None:
    draw = np.random.default_rng(0)
    weight = draw.normal(size=(32, 24)).astype(np.float32)
    rows = draw.normal(size=(500, 4)) @ draw.normal(size=(4, 32))
    gram = (rows.T @ rows / 500).astype(np.float32)
    rank = 4
    blind, seeing = Spectrum(weight).factors(rank), Spectrum(weight, gram).factors(rank)
    wanted = rows @ weight

    def error(factors: tuple[np.ndarray, np.ndarray]) -> float:
        return float(np.linalg.norm(rows @ factors[0] @ factors[1] - wanted) / np.linalg.norm(wanted))

    assert error(blind) > 0.5
    assert error(seeing) < 0.02  # the damping keeps it from being zero


def test_without_data_the_split_is_the_best_of_its_rank() -> None:
    weight = np.random.default_rng(1).normal(size=(20, 30)).astype(np.float32)
    one, other = Spectrum(weight).factors(7)
    values = np.linalg.svd(weight.astype(np.float64), compute_uv=False)
    assert np.linalg.norm(weight - one @ other) == pytest.approx(np.sqrt(np.sum(values[7:] ** 2)), rel=1e-5)


@pytest.mark.parametrize(("energy", "rank"), [(0.5, 1), (0.9, 2), (1.0, 3)])
def test_rank_is_the_least_that_keeps_the_energy(energy: float, rank: int) -> None:
    assert Spectrum(np.diag([3.0, 2.0, 1.0]).astype(np.float32)).rank_for(energy) == rank


def test_nodes_that_share_weight_and_input_share_the_factors(tmp_path: Path) -> None:
    nodes = [
        node_of("MatMul", ["x", "w"], ["a"]),
        node_of("MatMul", ["x", "w"], ["b"]),
        node_of("Add", ["a", "b"], ["y"]),
    ]
    model = model_of(nodes, [float_value("x", 2, 40)], [float_value("y", 2, 40)], [thin("w", 40, 40, 3)])
    result = read_structure(applied(LowRank, model, tmp_path, rank=3).model)
    assert [tensor.name for tensor in result.graph.initializer] == ["w_narrow", "w_wide"]


def test_options_that_change_nothing_do_not_make_another_configuration() -> None:
    assert LowRankConfig(rank=8, energy=0.5) == LowRankConfig(rank=8)
    assert LowRankConfig(samples=4) == LowRankConfig()
    assert LowRankConfig(samples=4, data="some") != LowRankConfig(data="some")
    assert LowRankConfig(rank=0, energy=0.5) != LowRankConfig()
