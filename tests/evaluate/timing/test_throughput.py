from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import pytest
from onnx import helper

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.outcome import Measurement, Paired
from olivelike.errors import InputError
from olivelike.evaluate.timing import paired_timing
from olivelike.evaluate.timing.throughput import Throughput, ThroughputConfig
from olivelike.testing.measure_context import MemoryContext
from olivelike.testing.metric_contract import MetricContract
from tests.evaluate.scripted_times import ScriptedContext, named
from tests.evaluate.tiny_models import classifier, write

SHORT = ThroughputConfig(seconds=0, warmup=2)


class TestThroughput(MetricContract):
    metric = Throughput

    def artifact(self, folder: Path) -> Artifact:
        return classifier(folder)

    def context(self, folder: Path) -> MemoryContext:
        return MemoryContext(folder)

    def configs(self) -> Sequence[ThroughputConfig]:
        return (SHORT,)


def test_samples_per_second_are_batch_over_seconds_and_the_ratio_is_above_one_for_the_faster() -> None:
    context = ScriptedContext({"fast": cycle([0.010]), "slow": cycle([0.025])})
    measured = Throughput().measure(named("fast"), named("slow"), SHORT, context)["samples_per_second"]
    assert isinstance(measured, Measurement)
    assert (measured.value, measured.low, measured.high) == pytest.approx((800, 800, 800))
    assert isinstance(measured.versus, Paired)
    assert measured.versus.interval.value == pytest.approx(2.5)


def test_the_interval_stays_finite_when_blocks_disagree_wildly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired_timing, "MOST_IN_BLOCK", 2)
    context = ScriptedContext({"wild": cycle([0.01] * 37 + [3.0] * 25)})
    measured = Throughput().measure(named("wild"), named("wild"), SHORT, context)["samples_per_second"]
    assert isinstance(measured, Measurement)
    assert measured.is_finite()
    assert 0 < measured.low < measured.value <= measured.high


def test_a_model_with_another_fixed_batch_size_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["image"], ["out"])]
    model = write(tmp_path, nodes, {"image": (2, 3)}, {"out": (2, 3)})
    with pytest.raises(InputError, match=r"OL206 batch: .*\[2, 3\], which is no batch of 8"):
        Throughput().measure(model, model, SHORT, MemoryContext(tmp_path))
