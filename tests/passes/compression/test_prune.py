"""Tests of the pass `prune`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest

from olivelike.onnxfile.read import read_model
from olivelike.testing import models
from olivelike.testing.building import float_value, model_of, node_of, value_of, weight_of
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal, gap_between
from olivelike_passes.compression.prune import Prune, PruneConfig
from tests.passes.compression.test_cluster import infinite, wide, wide_constants
from tests.passes.running import applied, artifact


def network(*, dead: tuple[int, ...] = (), flat: str = "Flatten") -> onnx.ModelProto:
    """Conv, BN, Relu, depthwise Conv, a residual of two Convs, a flattening of 4 x 4, and Gemm.

    Channels in `dead` of the first group make nothing and are read by nothing that makes a difference.
    """
    weights = [
        weight_of("c1", 16, 3, 3, 3),
        *(weight_of(name, 16) for name in ("scale", "shift", "mean")),
        onnx.numpy_helper.from_array(np.ones(16, np.float32), "var"),
        weight_of("d", 16, 1, 3, 3),
        weight_of("c2", 16, 16, 1, 1),
        weight_of("c3", 24, 16, 1, 1),
        weight_of("c3b", 24),
        weight_of("g", 24 * 16, 5),
        onnx.numpy_helper.from_array(np.array([0, -1], np.int64), "flat_shape"),
    ]
    for tensor in weights:
        if tensor.name in ("c1", "scale", "shift", "mean", "d", "c2"):
            values = onnx.numpy_helper.to_array(tensor).copy()
            values[list(dead)] = 0
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    nodes = [
        node_of("Conv", ["x", "c1"], ["a"], pads=[1, 1, 1, 1]),
        node_of("BatchNormalization", ["a", "scale", "shift", "mean", "var"], ["b"]),
        node_of("Relu", ["b"], ["r"]),
        node_of("Conv", ["r", "d"], ["e"], pads=[1, 1, 1, 1], group=16),
        node_of("Conv", ["e", "c2"], ["f"]),
        node_of("Add", ["f", "r"], ["s"]),
        node_of("Conv", ["s", "c3", "c3b"], ["t"]),
        node_of("Flatten", ["t"], ["u"]) if flat == "Flatten" else node_of("Reshape", ["t", "flat_shape"], ["u"]),
        node_of("Gemm", ["u", "g"], ["y"]),
    ]
    return model_of(nodes, [float_value("x", 2, 3, 4, 4)], [float_value("y", 2, 5)], weights)


def table() -> onnx.ModelProto:
    """A table of which rows are looked up: nothing is summed over."""
    return model_of(
        [node_of("Gather", ["t", "ids"], ["y"])],
        [value_of("ids", "INT64", 3)],
        [float_value("y", 3, 32)],
        [weight_of("t", 16, 32)],
    )


class TestPrune(GraphPassContract):
    pass_type = Prune
    configs = ({}, {"pattern": "n_of_m", "n": 1, "m": 3})
    accepted: ClassVar = {"wide": wide, "constants": wide_constants, "network": network}
    refused: ClassVar = {
        "small": Refusal(models.if_model, "at least 256 elements to prune"),
        "looked up": Refusal(table, "n_of_m prunes the weights of MatMul, Gemm and Conv", {"pattern": "n_of_m"}),
        "quantized": Refusal(models.quantized, "quantized already"),
        "infinite": Refusal(infinite, "the weight 'w' holds NaN or an infinity"),
        "rounded": Refusal(
            network,
            "a share of 0.01 takes no channel away where 8 go at a time",
            {"pattern": "channels", "share": 0.01},
        ),
        "outputs": Refusal(wide_constants, "no group of channels can be taken out", {"pattern": "channels"}),
    }


class TestPruneChannels(GraphPassContract):
    pass_type = Prune
    configs = ({"pattern": "channels", "share": 0.25, "multiple_of": 1},)
    accepted: ClassVar = {"network": network, "chain": wide}


def weights_of(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in read_model(path).graph.initializer}


def test_the_smallest_elements_become_zero_and_the_rest_stays(tmp_path: Path) -> None:
    before = weights_of(artifact(wide(), tmp_path / "before").model)["w0"]
    after = weights_of(applied(Prune, wide(), tmp_path, share=0.75).model)["w0"]
    assert np.count_nonzero(after == 0) == before.size * 3 // 4
    assert (after[after != 0] == before[after != 0]).all()
    assert np.abs(before[after == 0]).max() <= np.abs(after[after != 0]).min()


def test_two_of_four_stay_along_the_axis_that_is_summed_over(tmp_path: Path) -> None:
    after = weights_of(applied(Prune, wide(), tmp_path, pattern="n_of_m").model)["w0"]
    assert (np.count_nonzero(after.reshape(16, 4, 64), axis=1) == 2).all()


@pytest.mark.parametrize("flat", ["Flatten", "Reshape"])
def test_channels_that_do_nothing_go_and_the_outputs_stay(tmp_path: Path, flat: str) -> None:
    dead = (1, 6, 7, 12)
    model = network(dead=dead, flat=flat)
    result = applied(Prune, model, tmp_path, pattern="channels", share=0.25, multiple_of=4, exclude_nodes=["Gemm_y"])
    shapes = {name: values.shape for name, values in weights_of(result.model).items()}
    assert shapes["c1"] == (12, 3, 3, 3)
    assert shapes["d"] == (12, 1, 3, 3)
    assert shapes["c2"] == (12, 12, 1, 1)
    assert shapes["c3"] == (24, 12, 1, 1)
    assert shapes["scale"] == (12,)
    source = artifact(model, tmp_path / "before").model
    feeds = feeds_for(source)
    assert gap_between(run_model(source, feeds)["y"], run_model(result.model, feeds)["y"]) < 1e-5


def test_flattened_channels_lose_all_their_entries(tmp_path: Path) -> None:
    result = applied(Prune, network(), tmp_path, pattern="channels", share=0.5, multiple_of=4)
    shapes = {name: values.shape for name, values in weights_of(result.model).items()}
    assert shapes["c3"] == (12, 8, 1, 1)
    assert shapes["c3b"] == (12,)
    assert shapes["g"] == (12 * 16, 5)
    assert result.manifest.notes["prune"] == {"channels": 40, "taken_out": 20}


def test_channels_that_a_branch_or_an_output_reads_stay(tmp_path: Path) -> None:
    model = network()
    model.graph.output.append(float_value("r", 2, 16, 4, 4))
    shapes = {
        name: values.shape
        for name, values in weights_of(
            applied(Prune, model, tmp_path, pattern="channels", share=0.5, multiple_of=4).model
        ).items()
    }
    assert shapes["c1"] == (16, 3, 3, 3)
    assert shapes["c3"] == (12, 16, 1, 1)


def test_a_weight_that_two_layers_share_keeps_its_channels(tmp_path: Path) -> None:
    nodes = [
        node_of("MatMul", ["x", "w"], ["a"]),
        node_of("Relu", ["a"], ["b"]),
        node_of("MatMul", ["b", "w"], ["c"]),
        node_of("Relu", ["c"], ["d"]),
        node_of("MatMul", ["d", "v"], ["y"]),
    ]
    weights = [weight_of("w", 32, 32), weight_of("v", 32, 3)]
    model = model_of(nodes, [float_value("x", 2, 32)], [float_value("y", 2, 3)], weights)
    with pytest.raises(Exception, match="no group of channels can be taken out"):
        applied(Prune, model, tmp_path, pattern="channels")


@pytest.mark.parametrize("pool", ["MaxPool", "AveragePool"])
def test_channels_that_a_pool_mixes_stay(tmp_path: Path, pool: str) -> None:
    nodes = [
        node_of("MatMul", ["x", "w"], ["a"]),
        node_of(pool, ["a"], ["b"], kernel_shape=[3], pads=[1, 1]),
        node_of("MatMul", ["b", "v"], ["y"]),
    ]
    weights = [weight_of("w", 32, 64), weight_of("v", 64, 5)]
    model = model_of(nodes, [float_value("x", 2, 8, 32)], [float_value("y", 2, 8, 5)], weights)
    with pytest.raises(Exception, match="no group of channels can be taken out"):
        applied(Prune, model, tmp_path, pattern="channels")


@pytest.mark.parametrize("pool", ["MaxPool", "GlobalAveragePool"])
def test_channels_go_through_a_pool_that_leaves_them_apart(tmp_path: Path, pool: str) -> None:
    window = {} if pool.startswith("Global") else {"kernel_shape": [2, 2]}
    nodes = [
        node_of("Conv", ["x", "c"], ["a"]),
        node_of(pool, ["a"], ["b"], **window),
        node_of("Conv", ["b", "d"], ["y"]),
    ]
    weights = [weight_of("c", 32, 8, 1, 1), weight_of("d", 5, 32, 1, 1)]
    sides = [1, 1] if window == {} else [3, 3]
    model = model_of(nodes, [float_value("x", 2, 8, 4, 4)], [float_value("y", 2, 5, *sides)], weights)
    made = applied(Prune, model, tmp_path, pattern="channels")
    assert weights_of(made.model)["d"].shape == (5, 16, 1, 1)


def test_options_that_change_nothing_do_not_make_another_configuration() -> None:
    assert PruneConfig(n=1, m=3, multiple_of=4) == PruneConfig()
    assert PruneConfig(pattern="n_of_m", share=0.25, multiple_of=4) == PruneConfig(pattern="n_of_m")
    assert PruneConfig(pattern="channels", m=2) == PruneConfig(pattern="channels")
    assert PruneConfig(pattern="channels", multiple_of=4) != PruneConfig(pattern="channels")


def test_as_many_of_m_as_there_are_take_nothing_away() -> None:
    with pytest.raises(ValueError, match="2 of 2 takes nothing away"):
        PruneConfig(pattern="n_of_m", m=2)
