"""Tests of the pass `activation_statistics`: known answers, bounded memory, and what it does not see."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.errors import InputError, RefusedError
from olivelike.onnxfile.read import read_structure
from olivelike.onnxfile.write import write_model
from olivelike.testing import models
from olivelike.testing.building import float_value, model_of, node_of, weight_of
from olivelike.testing.context import MemoryContext
from olivelike.testing.pass_contract import PassContract, Refusal
from olivelike_passes.quantization import activation_statistics, observing
from olivelike_passes.quantization.activation_statistics import (
    ActivationStatistics,
    Statistics,
    StatisticsConfig,
    read_statistics,
)
from tests.passes.running import artifact

Rows = NDArray[np.generic]
FEATURES = models.FEATURES


def half_chain() -> ModelProto:
    weight = helper.make_tensor("w", TensorProto.FLOAT16, [4, 3], np.ones(12, np.float16))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT16, ["n", width]) for name, width in (("x", 4), ("y", 3))
    ]
    return model_of([node_of("MatMul", ["x", "w"], ["y"])], ends[:1], ends[1:], [weight])


class TestActivationStatistics(PassContract):
    pass_type = ActivationStatistics
    configs = ({"data": "data"}, {"data": "data", "gram": True, "batch": 3})
    accepted: ClassVar = {
        "mlp": models.mlp,
        "conv_net": models.conv_net,
        "constants": lambda: models.conv_net(constants=True),
        "bert_layer": models.bert_layer,
        "half": half_chain,
    }
    refused: ClassVar = {"nothing": Refusal(models.weights_as_inputs, "multiplies nothing", {"data": "data"})}


def test_statistics_are_those_of_the_values(tmp_path: Path) -> None:
    rows = normal(50)
    found = statistics(models.matmul_chain(layers=2), {"x": rows}, tmp_path, gram=True)
    hidden = np.maximum(rows @ weight_values(models.matmul_chain(layers=2), "w0"), 0)
    assert found.names == ("x", "r0")
    assert found.rows == 50
    for name, values in (("x", rows), ("r0", hidden)):
        # Sums of 50 terms in float32, in another order than numpy's.
        near = {"rtol": 1e-5, "atol": 1e-6}
        np.testing.assert_allclose(found.mean_magnitude(name), np.abs(values).mean(axis=0), **near)
        np.testing.assert_allclose(found.peak(name), np.abs(values).max(axis=0), **near)
        np.testing.assert_allclose(found.mean(name), values.mean(axis=0), **near)
        np.testing.assert_allclose(found.gram(name), values.T @ values / 50, **near)
        np.testing.assert_allclose(found.mean_square(name), np.diag(found.gram(name)), **near)


def test_axes_before_the_last_count_as_rows(tmp_path: Path) -> None:
    weight = weight_of("w", 4, 2)
    model = model_of(
        [node_of("MatMul", ["x", "w"], ["y"])],
        [float_value("x", "n", "t", 4)],
        [float_value("y", "n", "t", 2)],
        [weight],
    )
    values = normal(3 * 5, 4).reshape(3, 5, 4)
    found = statistics(model, {"x": values}, tmp_path, gram=True, batch=2)
    flat = values.reshape(-1, 4)
    assert found.rows_of("x") == 15
    np.testing.assert_allclose(found.gram("x"), flat.T @ flat / 15, rtol=1e-5, atol=1e-6)


def test_convolutions_are_seen_per_input_channel_without_gram(tmp_path: Path) -> None:
    model = model_of(
        [node_of("Conv", ["x", "w"], ["y"], group=2)],
        [float_value("x", "n", 4, "t")],
        [float_value("y", "n", 2, "s")],
        [weight_of("w", 2, 2, 3)],
    )
    values = normal(6 * 4 * 7, 1).reshape(6, 4, 7)
    found = statistics(model, {"x": values}, tmp_path, gram=True)
    np.testing.assert_allclose(found.mean("x"), values.mean(axis=(0, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.peak("x"), np.abs(values).max(axis=(0, 2)))
    assert not found.has_gram("x")
    with pytest.raises(KeyError):
        found.gram("x")


def test_grams_larger_than_the_bound_are_summed_up_in_several_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = normal(20)
    whole = statistics(models.matmul_chain(), {"x": rows}, tmp_path / "whole", gram=True)
    monkeypatch.setattr(activation_statistics, "GRAMS_AT_ONCE", 8 * FEATURES * 5)  # five rows of one gram
    pieces = statistics(models.matmul_chain(), {"x": rows}, tmp_path / "pieces", gram=True)
    for name in whole.names:
        assert pieces.rows_of(name) == whole.rows_of(name)
        np.testing.assert_allclose(pieces.gram(name), whole.gram(name), rtol=1e-6)  # other kernels for parts of X
        np.testing.assert_array_equal(pieces.mean(name), whole.mean(name))


def test_values_larger_than_the_bound_are_watched_in_several_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = normal(20)
    whole = statistics(models.matmul_chain(), {"x": rows}, tmp_path / "whole", batch=1)
    monkeypatch.setattr(activation_statistics, "AT_ONCE", 4 * FEATURES)
    pieces = statistics(models.matmul_chain(), {"x": rows}, tmp_path / "pieces", batch=1)
    for name in whole.names:
        np.testing.assert_array_equal(pieces.mean_magnitude(name), whole.mean_magnitude(name))


def test_batches_shrink_where_values_are_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "AT_ONCE", 4 * FEATURES * 3 * 2)
    sizes: list[int] = []

    class Counting(MemoryContext):
        def progress(self, done: float, text: str = "") -> None:
            sizes.append(int(text.split(maxsplit=1)[0]))

    statistics(models.matmul_chain(), {"x": normal(6)}, tmp_path, context=Counting)
    assert sizes == [2, 4, 6]


def test_weights_outside_stay_outside(tmp_path: Path) -> None:
    model = models.matmul_chain(width=64)
    inside = statistics(models.matmul_chain(width=64), {"x": normal(9, 64)}, tmp_path / "inside")
    folder = tmp_path / "outside"
    folder.mkdir()
    path = write_model(model, folder, external_above=0)
    outside = run(Artifact(folder, Manifest("onnx", {"model": path.name}), ""), {"x": normal(9, 64)}, tmp_path / "run")
    for name in inside.names:
        np.testing.assert_array_equal(outside.mean(name), inside.mean(name))


def test_weights_of_a_large_file_are_moved_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = statistics(models.matmul_chain(width=64), {"x": normal(9, 64)}, tmp_path / "usual")
    monkeypatch.setattr(observing, "OUTSIDE_ABOVE", 1000)
    moved = statistics(models.matmul_chain(width=64), {"x": normal(9, 64)}, tmp_path / "moved")
    assert (tmp_path / "moved" / "scratch" / "outside" / "model.onnx.data").stat().st_size >= 3 * 64 * 64 * 4
    np.testing.assert_array_equal(moved.mean("r1"), usual.mean("r1"))


def test_what_is_not_finite_counts_as_zero(tmp_path: Path) -> None:
    rows = np.zeros((4, FEATURES), np.float32)
    rows[:, 0] = [1, np.inf, np.nan, 3]
    found = statistics(models.matmul_chain(), {"x": rows}, tmp_path, gram=True)
    assert found.mean("x")[0] == 1.0
    assert found.peak("x")[0] == 3.0
    assert np.isfinite(found.gram("r1")).all()


def test_values_of_branches_are_not_among_the_names(tmp_path: Path) -> None:
    inner = helper.make_graph(
        [node_of("Relu", ["x"], ["q"]), node_of("MatMul", ["q", "w"], ["z"])], "then", [], [float_value("z", "n", 4)]
    )
    other = helper.make_graph([node_of("MatMul", ["x", "w"], ["z2"])], "else", [], [float_value("z2", "n", 4)])
    ends = [float_value("x", "n", 4), helper.make_tensor_value_info("c", TensorProto.BOOL, [])]
    branch = node_of("If", ["c"], ["y"], then_branch=inner, else_branch=other)
    model = model_of([branch], ends, [float_value("y", "n", 4)], [weight_of("w", 4, 4)])
    source = artifact(model, tmp_path)
    assert tuple(activation_statistics._inputs(read_structure(source.model))) == ("x",)


def test_no_sample_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"OL301.*no batch"):
        statistics(models.mlp(), {"x": normal(0)}, tmp_path)


def test_data_of_the_wrong_shape_are_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"OL206.*cannot be run on the data entry 'cal'"):
        statistics(models.mlp(), {"x": normal(4, FEATURES + 1)}, tmp_path)


def normal(count: int, width: int = FEATURES) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((count, width)).astype(np.float32)


def weight_values(model: ModelProto, name: str) -> Rows:
    from onnx import numpy_helper

    return next(numpy_helper.to_array(tensor) for tensor in model.graph.initializer if tensor.name == name)


def statistics(
    model: ModelProto,
    columns: dict[str, Rows],
    folder: Path,
    *,
    context: type[MemoryContext] = MemoryContext,
    **settings: object,
) -> Statistics:
    return run(artifact(model, folder), columns, folder, context=context, **settings)


def run(
    source: Artifact,
    columns: dict[str, Rows],
    folder: Path,
    *,
    context: type[MemoryContext] = MemoryContext,
    **settings: object,
) -> Statistics:
    out, scratch = folder / "out", folder / "scratch"
    out.mkdir(parents=True)
    scratch.mkdir()
    config = StatisticsConfig.model_validate({"data": "cal", **settings})
    manifest = ActivationStatistics().run(source, out, config, context(scratch, {"cal": columns}))
    return read_statistics(Artifact(out, manifest, ""))
