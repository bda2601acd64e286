from __future__ import annotations

from pathlib import Path

import pytest

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.errors import InputError, MeasureError
from olivelike.evaluate.resources.cold_start import ColdStart, ColdStartConfig
from olivelike.evaluate.resources.load_time import LoadTime, LoadTimeConfig
from olivelike.testing.measure_context import MemoryContext, artifact_at
from tests.evaluate.resources.measured_once import MeasuredOnce
from tests.evaluate.tiny_models import classifier

SHORT = ColdStartConfig(processes=8, seconds=0)


class TestColdStart(MeasuredOnce):
    metric = ColdStart

    def artifact(self, folder: Path) -> Artifact:
        return classifier(folder)

    def context(self, folder: Path) -> MemoryContext:
        return MemoryContext(folder)

    def configs(self) -> tuple[ColdStartConfig, ...]:
        return (SHORT,)


class TestLoadTime(MeasuredOnce):
    metric = LoadTime

    def artifact(self, folder: Path) -> Artifact:
        return classifier(folder)

    def context(self, folder: Path) -> MemoryContext:
        return MemoryContext(folder)

    def configs(self) -> tuple[LoadTimeConfig, ...]:
        return (LoadTimeConfig(processes=8, seconds=0),)


def test_loading_needs_no_batch_and_the_total_is_longer_than_either_part(tmp_path: Path) -> None:
    """To load, nothing is opened in this process: a model too large for it beside its own can be measured."""
    model, context = classifier(tmp_path), MemoryContext(tmp_path)
    found = ColdStart().measure(model, model, SHORT, context)
    assert len(context.opened) == 1
    assert found["total"].value > max(found["load"].value, found["first_run"].value)
    LoadTime().measure(model, model, LoadTimeConfig(processes=8, seconds=0), context)
    assert len(context.opened) == 1


def test_what_cannot_be_loaded_or_fed_is_refused_with_the_reason(tmp_path: Path) -> None:
    model, context = classifier(tmp_path / "model"), MemoryContext(tmp_path)
    with pytest.raises(InputError, match=r"OL206 dims.length"):
        ColdStart().measure(model, model, SHORT.model_copy(update={"dims": {"length": 3}}), context)
    (tmp_path / "model.onnx").write_bytes(b"no model")
    broken = artifact_at(tmp_path, Manifest("onnx", {"model": "model.onnx"}))
    with pytest.raises(MeasureError, match=r"OL504: model.onnx cannot be loaded"):
        LoadTime().measure(broken, broken, LoadTimeConfig(), context)
