"""Tests of the pass `calibrate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from olivelike.contracts.artifact import Artifact
from olivelike.errors import InputError, RefusedError
from olivelike.testing import models
from olivelike.testing.context import MemoryContext, run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.pass_contract import PassContract, Refusal
from olivelike_passes.quantization import observing
from olivelike_passes.quantization.calibrate import Calibrate, CalibrateConfig, read_ranges
from tests.passes.running import applied, artifact

Rows = NDArray[np.float32]


class TestCalibrate(PassContract):
    pass_type = Calibrate
    configs = (
        {"data": "data"},
        {"data": "data", "method": "entropy"},
        {"data": "data", "method": "percentile", "batch": 3},
        {"data": "data", "method": "moving_average"},
        {"data": "data", "method": "mse", "bits": 4, "symmetric": True},
    )
    accepted: ClassVar = {
        "conv_net": models.conv_net,
        "constants": lambda: models.conv_net(constants=True),
        "bert_layer": models.bert_layer,
        "copies": models.copies_input,
    }
    refused: ClassVar = {"quantized": Refusal(models.quantized, "quantized already", {"data": "data"})}


def test_ranges_are_those_of_the_activations(tmp_path: Path) -> None:
    ranges = read_ranges(applied(Calibrate, models.mlp(), tmp_path, data="data"))
    source = tmp_path / "source" / "model.onnx"
    feeds = feeds_for(source, batch=16, seed=1)
    logits = run_model(source, feeds)["logits"]
    assert set(ranges) == {"x", "h", "r", "logits"}
    assert ranges["x"] == (float(feeds["x"].min()), float(feeds["x"].max()))
    assert ranges["logits"] == pytest.approx((float(logits.min()), float(logits.max())), rel=1e-5)  # order of sums
    assert ranges["r"][0] == 0.0


def test_weights_are_no_activations(tmp_path: Path) -> None:
    ranges = read_ranges(applied(Calibrate, models.conv_net(constants=True), tmp_path, data="data"))
    assert not {"c1", "c2", "w", "b"} & set(ranges)


def test_size_of_batches_does_not_change_extremes(tmp_path: Path) -> None:
    one, all_at_once = (
        read_ranges(applied(Calibrate, models.mlp(), tmp_path / str(batch), data="data", batch=batch))
        for batch in (1, 16)
    )
    assert one.keys() == all_at_once.keys()
    for name, found in one.items():
        assert found == pytest.approx(all_at_once[name], rel=1e-5)  # kernels differ with the number of rows


def test_only_the_first_samples_are_used(tmp_path: Path) -> None:
    ranges = read_ranges(applied(Calibrate, models.mlp(), tmp_path, data="data", samples=3))
    values = feeds_for(tmp_path / "source" / "model.onnx", batch=16, seed=1)["x"][:3]
    assert ranges["x"] == (float(values.min()), float(values.max()))


def test_model_with_a_fixed_batch_gets_batches_of_that_size(tmp_path: Path) -> None:
    model = models.mlp()
    for entry in (model.graph.input[0], model.graph.output[0]):
        entry.type.tensor_type.shape.dim[0].dim_value = 5
    source = artifact(model, tmp_path)
    rows = np.arange(12 * models.FEATURES, dtype=np.float32).reshape(12, -1)
    ranges = calibrated(source, rows, tmp_path)
    assert ranges["x"] == (0.0, float(rows[9].max()))  # the last two rows fill no batch of five


def test_no_batch_at_all_is_refused(tmp_path: Path) -> None:
    source = artifact(models.mlp(), tmp_path)
    with pytest.raises(RefusedError, match=r"OL301.*no batch"):
        calibrated(source, np.zeros((0, models.FEATURES), np.float32), tmp_path)


METHODS = ("minmax", "moving_average", "percentile", "entropy", "mse")


@pytest.mark.parametrize("method", METHODS)
def test_one_sample_and_samples_of_zeros_give_ranges(tmp_path: Path, method: str) -> None:
    source = artifact(models.mlp(), tmp_path)
    for count, value in ((1, 1.0), (4, 0.0)):
        rows = np.full((count, models.FEATURES), value, np.float32)
        ranges = calibrated(source, rows, tmp_path / f"{value}", method=method)
        assert all(np.isfinite(ends).all() and ends[0] <= ends[1] for ends in ranges.values())
        assert ranges["x"] == pytest.approx((value, value) if method != "mse" else (0.0, value), rel=0.01)


@pytest.mark.parametrize("method", METHODS)
def test_activations_beyond_the_bound_are_watched_in_groups(
    tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = artifact(models.mlp(), tmp_path)
    rows = np.random.default_rng(0).standard_normal((24, models.FEATURES)).astype(np.float32)
    whole = calibrated(source, rows, tmp_path / "whole", method=method, batch=1)
    monkeypatch.setattr(observing.grouped, "__defaults__", (4 * models.FEATURES,))
    assert calibrated(source, rows, tmp_path / "groups", method=method, batch=1) == whole


def test_data_of_the_wrong_shape_are_said_to_be_so(tmp_path: Path) -> None:
    source = artifact(models.mlp(), tmp_path)
    with pytest.raises(InputError, match=r"OL206.*cannot be run on the data entry 'cal'"):
        calibrated(source, np.zeros((2, models.FEATURES + 1), np.float32), tmp_path / "run")


def test_parameters_of_other_methods_make_no_other_step() -> None:
    assert CalibrateConfig(data="cal", percentile=90) == CalibrateConfig(data="cal", bits=4, symmetric=True)
    assert CalibrateConfig(data="cal", method="mse", bits=4) != CalibrateConfig(data="cal", method="mse")


def test_file_is_sorted_json(tmp_path: Path) -> None:
    text = (applied(Calibrate, models.mlp(), tmp_path, data="data").folder / "ranges.json").read_text()
    assert list(json.loads(text)) == sorted(json.loads(text))


def calibrated(source: Artifact, rows: Rows, folder: Path, **settings: object) -> dict[str, tuple[float, float]]:
    out, scratch = folder / "out", folder / "scratch"
    out.mkdir(parents=True)
    scratch.mkdir()
    context = MemoryContext(scratch, {"cal": {"x": rows}})
    manifest = Calibrate().run(source, out, CalibrateConfig.model_validate({"data": "cal", **settings}), context)
    return read_ranges(Artifact(out, manifest, ""))
