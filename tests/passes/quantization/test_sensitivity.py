"""Tests of the pass `sensitivity`: its figures are those of the outputs themselves, and the worst layers come first."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.errors import RefusedError
from olivelike.onnxfile.write import write_model
from olivelike.testing import models
from olivelike.testing.building import float_value, model_of, node_of, weight_of
from olivelike.testing.context import MemoryContext
from olivelike.testing.pass_contract import PassContract, Refusal
from olivelike_passes.quantization import loss
from olivelike_passes.quantization.activation_statistics import ActivationStatistics, StatisticsConfig
from olivelike_passes.quantization.formats import NAMES, Format, FormatName
from olivelike_passes.quantization.sensitivity import (
    LayerLoss,
    Sensitivity,
    SensitivityConfig,
    most_sensitive,
    read_sensitivity,
)
from tests.passes.running import artifact

Rows = NDArray[np.float32]
FEATURES = models.FEATURES
EVERY = {"formats": list(NAMES)}


class TestSensitivity(PassContract):
    pass_type = Sensitivity
    configs = ({"data": "data"}, EVERY, {"data": "data", "gram": False})
    accepted: ClassVar = {
        "mlp": models.mlp,
        "conv_net": models.conv_net,
        "constants": lambda: models.conv_net(constants=True),
        "bert_layer": models.bert_layer,
    }
    refused: ClassVar = {"nothing": Refusal(models.string_input, "nothing can be rounded")}


@pytest.mark.parametrize("format", NAMES)
def test_output_error_is_that_of_the_output_itself(tmp_path: Path, format: FormatName) -> None:
    rows = correlated(200)
    found = {each.node: each for each in table(models.matmul_chain(layers=2), rows, tmp_path, formats=[format])[0]}
    flowing = {"MatMul_m0": rows, "MatMul_m1": np.maximum(rows @ weight("w0"), 0)}
    for name, (node, values) in zip(("w0", "w1"), flowing.items(), strict=True):
        expected = values @ weight(name)
        rounded = Format.named(format).rounded(weight(name).T.copy(), float(np.abs(weight(name)).max())).T
        relative = np.square(values @ rounded - expected).sum() / np.square(expected).sum()
        # Sums in float32 of a few hundred terms, and four digits are written.
        assert found[node].formats[format]["output_error"] == pytest.approx(relative, rel=2e-3)
        ratio = 10 * np.log10(np.square(weight(name)).sum() / np.square(rounded - weight(name)).sum())
        assert found[node].formats[format]["sqnr_db"] == pytest.approx(ratio, rel=1e-3)


def test_convolution_of_independent_channels_is_right_by_mean_squares(tmp_path: Path) -> None:
    model = model_of(
        [node_of("Conv", ["x", "w"], ["y"], group=2)],
        [float_value("x", "n", 4, "t")],
        [float_value("y", "n", 6, "s")],
        [weight_of("w", 6, 2, 3)],
    )
    random = np.random.default_rng(0)
    values = (random.standard_normal((64, 4, 50)) * np.float32([1, 10, 0.1, 3])[:, None]).astype(np.float32)
    layer = table(model, values, tmp_path, formats=["int8"])[0][0]
    weights = next(numpy_helper.to_array(tensor) for tensor in model.graph.initializer)
    rounded = Format.named("int8").rounded(weights.reshape(6, -1), float(np.abs(weights).max())).reshape(6, 2, 3)
    expected, error = (convolved(values, each) for each in (weights, rounded - weights))
    relative = np.square(error).sum() / np.square(expected).sum()
    assert layer.formats["int8"]["output_error"] == pytest.approx(relative, rel=0.05)  # random values, not quite white


def test_outlier_among_the_inputs_shows_in_formats_that_round_activations(tmp_path: Path) -> None:
    rows = correlated(100)
    rows[0, 3] = 500.0
    first = table(models.matmul_chain(layers=1), rows, tmp_path)[0][0]
    step = (500 - rows.min()) / 255
    squares = np.minimum(np.square(rows).mean(axis=0), step**2 / 12)
    outputs = np.square(rows @ weight("w0")).sum() / len(rows)
    expected = (squares[:, None] * np.square(weight("w0"))).sum() / outputs
    assert first.activation_error == pytest.approx(expected, rel=1e-3)
    assert first.error("int8") == first.formats["int8"]["output_error"] + first.activation_error
    assert first.error("int4_b32") == first.formats["int4_b32"]["output_error"]


def test_finer_formats_lose_less(tmp_path: Path) -> None:
    for layer in table(models.mlp(), correlated(50), tmp_path, **EVERY)[0]:
        errors = [layer.formats[name]["output_error"] for name in ("float16", "int8_b32", "int4_b32", "int2_b32")]
        assert errors == sorted(errors)


def test_most_sensitive_come_first_and_tables_are_left_out(tmp_path: Path) -> None:
    losses, made = table(models.matmul_chain(layers=3), correlated(50), tmp_path)
    ranked = most_sensitive(made, "int4_b32", 2)
    worst = sorted(losses, key=lambda each: -each.error("int4_b32"))
    assert ranked == tuple(each.node for each in worst[:2])
    assert len(most_sensitive(made, "int4_b32", 100)) == 3


def test_weights_alone_are_judged_without_data(tmp_path: Path) -> None:
    source = artifact(models.mlp(), tmp_path)
    found = read_sensitivity(sensitivity(source, {}, tmp_path, formats=["int8"]))
    for each in found:
        ratio = each.formats["int8"]["sqnr_db"]
        assert ratio is not None
        assert each.formats["int8"]["output_error"] == pytest.approx(10 ** (-ratio / 10), rel=5e-3)  # four digits of dB
        assert each.activation_error == 0.0


def test_weights_in_branches_are_judged_by_themselves(tmp_path: Path) -> None:
    found = read_sensitivity(sensitivity(artifact(models.if_model(), tmp_path), {}, tmp_path))
    assert all(each.formats["int8"]["output_error"] > 0 for each in found)


def test_some_outputs_stand_for_all_of_a_large_matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(
        [node_of("MatMul", ["x", "w"], ["y"])],
        [float_value("x", "n", FEATURES)],
        [float_value("y", "n", 4000)],
        [weight_of("w", FEATURES, 4000)],
    )
    whole = table(model, correlated(100), tmp_path / "whole")[0][0]
    monkeypatch.setattr(loss, "PRODUCTS", 1)
    some = table(model, correlated(100), tmp_path / "some")[0][0]
    assert some.formats["int8"]["sqnr_db"] == whole.formats["int8"]["sqnr_db"]
    # 500 of 4000 outputs of equal kind: the mean of so many differs by a few percent.
    assert some.formats["int4_b32"]["output_error"] == pytest.approx(whole.formats["int4_b32"]["output_error"], rel=0.1)


def test_zeros_lose_nothing(tmp_path: Path) -> None:
    model = models.matmul_chain(layers=1)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.zeros((FEATURES, FEATURES), np.float32), "w0"))
    found = table(model, correlated(10), tmp_path, **EVERY)[0][0]
    assert {(each["sqnr_db"], each["output_error"]) for each in found.formats.values()} == {(None, 0.0)}


def test_weight_that_is_not_finite_is_refused_by_name(tmp_path: Path) -> None:
    model = models.matmul_chain(layers=1)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.full((4, 4), np.nan, np.float32), "w0"))
    with pytest.raises(RefusedError, match=r"OL301.*'w0'"):
        sensitivity(artifact(model, tmp_path), {}, tmp_path)


def test_weights_outside_give_the_same_table(tmp_path: Path) -> None:
    inside = sensitivity(artifact(models.mlp(hidden=64), tmp_path), {}, tmp_path / "inside")
    folder = tmp_path / "outside"
    folder.mkdir()
    path = write_model(models.mlp(hidden=64), folder, external_above=0)
    outside = sensitivity(Artifact(folder, Manifest("onnx", {"model": path.name}), ""), {}, tmp_path / "other")
    assert read_sensitivity(outside) == read_sensitivity(inside)


def correlated(count: int) -> Rows:
    """Rows whose channels go together, so that mean squares alone would not tell the truth."""
    random = np.random.default_rng(0)
    mixed = random.standard_normal((count, FEATURES)) @ random.standard_normal((FEATURES, FEATURES))
    return mixed.astype(np.float32)


def weight(name: str) -> Rows:
    model = models.matmul_chain()
    return next(numpy_helper.to_array(tensor) for tensor in model.graph.initializer if tensor.name == name)


def convolved(values: Rows, weights: Rows) -> Rows:
    """A convolution of two groups over the last axis, without padding."""
    windows = np.lib.stride_tricks.sliding_window_view(values, 3, axis=2)
    halves = [
        np.einsum("nctk,mck->nmt", windows[:, 2 * group : 2 * group + 2], weights[3 * group : 3 * group + 3])
        for group in range(2)
    ]
    return np.concatenate(halves, axis=1)


def table(model: ModelProto, rows: Rows, folder: Path, **settings: object) -> tuple[tuple[LayerLoss, ...], Artifact]:
    made = sensitivity(artifact(model, folder), {"x": rows}, folder, data="cal", **settings)
    return read_sensitivity(made), made


def sensitivity(source: Artifact, columns: dict[str, Rows], folder: Path, **settings: object) -> Artifact:
    out, scratch, learned = folder / "out", folder / "scratch", folder / "learned"
    for each in (out, scratch, learned):
        each.mkdir(parents=True)
    needed = {}
    context = MemoryContext(scratch, {"cal": columns})
    if columns:
        manifest = ActivationStatistics().run(source, learned, StatisticsConfig(data="cal", gram=True), context)
        needed["statistics"] = Artifact(learned, manifest, "")
    config = SensitivityConfig.model_validate(settings)
    return Artifact(out, Sensitivity().run(source, out, config, MemoryContext(scratch, {}, needed)), "")
