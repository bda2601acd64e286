from __future__ import annotations

from pathlib import Path

import pytest

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.outcome import Measurement
from olivelike.errors import InputError, MeasureError
from olivelike.evaluate.resources.cold_start import ColdStart, ColdStartConfig
from olivelike.evaluate.resources.load_time import LoadTime, LoadTimeConfig
from olivelike.testing.measure_context import MemoryContext, artifact_at
from olivelike.testing.metric_contract import MetricContract
from tests.evaluate.tiny_models import classifier

SHORT = ColdStartConfig(processes=6, seconds=0)


class TestColdStart(MetricContract):
    metric = ColdStart

    def artifact(self, folder: Path) -> Artifact:
        return classifier(folder)

    def context(self, folder: Path) -> MemoryContext:
        return MemoryContext(folder)

    def configs(self) -> tuple[ColdStartConfig, ...]:
        return (SHORT,)


class TestLoadTime(MetricContract):
    metric = LoadTime

    def artifact(self, folder: Path) -> Artifact:
        return classifier(folder)

    def context(self, folder: Path) -> MemoryContext:
        return MemoryContext(folder)

    def configs(self) -> tuple[LoadTimeConfig, ...]:
        return (LoadTimeConfig(processes=6, seconds=0),)


def test_the_total_is_longer_than_either_part(tmp_path: Path) -> None:
    model = classifier(tmp_path)
    found = ColdStart().measure(model, model, SHORT, MemoryContext(tmp_path))
    assert all(isinstance(value, Measurement) for value in found.values())
    assert found["total"].value > max(found["load"].value, found["first_run"].value)


def test_loading_needs_no_data_and_no_batch_that_fits(tmp_path: Path) -> None:
    """Nothing is opened here either: a model too large for this process beside its own can be measured."""
    model, context = classifier(tmp_path), MemoryContext(tmp_path)
    LoadTime().measure(model, model, LoadTimeConfig(processes=6, seconds=0), context)
    assert context.opened == []


def test_what_cannot_be_loaded_or_fed_is_refused_with_the_reason(tmp_path: Path) -> None:
    model, context = classifier(tmp_path / "model"), MemoryContext(tmp_path)
    with pytest.raises(InputError, match=r"OL206 dims.length"):
        ColdStart().measure(model, model, SHORT.model_copy(update={"dims": {"length": 3}}), context)
    (tmp_path / "model.onnx").write_bytes(b"no model")
    broken = artifact_at(tmp_path, Manifest("onnx", {"model": "model.onnx"}))
    with pytest.raises(MeasureError, match=r"OL504: model.onnx cannot be loaded"):
        LoadTime().measure(broken, broken, LoadTimeConfig(), context)
