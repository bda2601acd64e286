"""Only the folder of counters is made up here; models run for real."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Session
from olivelike.contracts.outcome import Measurement, Paired, Undefined, Unpaired
from olivelike.errors import InputError
from olivelike.evaluate.resources.energy import Energy, EnergyConfig, joules_per_run
from olivelike.evaluate.resources.energy_counter import readable_counters
from olivelike.testing.measure_context import MemoryContext
from olivelike.testing.metric_contract import MetricContract
from tests.evaluate.tiny_models import classifier

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

SHORT = EnergyConfig(stretches=5, seconds=0.1)
WRAPS_AT = 5_000


def zone(powercap: Path, place: str, name: str, energy: int = 0) -> Path:
    folder = powercap / place
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "max_energy_range_uj").write_text(f"{WRAPS_AT}\n")
    (folder / "energy_uj").write_text(f"{energy}\n")
    return folder / "energy_uj"


@dataclass(frozen=True)
class Hungry:
    """A session that adds microjoules to a counter with every run, as a machine would; the counter wraps."""

    inner: Session
    counter: Path
    microjoules: int

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def time(self, feeds: Mapping[str, Array]) -> float:
        seconds = self.inner.time(feeds)
        self.counter.write_text(f"{(int(self.counter.read_text()) + self.microjoules) % WRAPS_AT}\n")
        while seconds < 0.002:  # so that a stretch does not wrap more than once
            seconds += self.inner.time(feeds)
        return seconds


@dataclass(frozen=True)
class HungryContext(MemoryContext):
    counter: Path = Path()
    microjoules: int = 0

    def open(self, artifact: Artifact) -> Session:
        per_run = self.microjoules * (1 if artifact.digest.startswith("half") else 2)
        return Hungry(super().open(artifact), self.counter, per_run)  # type: ignore[return-value]


class TestEnergy(MetricContract):
    """Where the machine has no readable counter, the suite looks at a metric without values."""

    metric = Energy

    def artifact(self, folder: Path) -> Artifact:
        return classifier(folder)

    def context(self, folder: Path) -> MemoryContext:
        return MemoryContext(folder)

    def configs(self) -> tuple[EnergyConfig, ...]:
        return (SHORT,)

    def test_measures_exactly_the_values_it_declares(self, tmp_path: Path) -> None:
        if not readable_counters():
            pytest.skip("this machine has no readable energy counter")
        super().test_measures_exactly_the_values_it_declares(tmp_path)


def test_joules_of_a_run_are_counted_across_the_counter_s_wrapping(tmp_path: Path) -> None:
    """10 or 20 microjoules a run; at most some 50 runs fit a stretch, so the counter wraps every few stretches."""
    counter = zone(tmp_path / "powercap", "intel-rapl:0", "package-0", energy=WRAPS_AT - 15)
    zone(tmp_path / "powercap", "intel-rapl:0:0", "core")
    model = classifier(tmp_path / "model")
    context = HungryContext(tmp_path, counter=counter, microjoules=10)
    found = joules_per_run(replace(model, digest="half"), model, SHORT, context, tmp_path / "powercap")
    assert isinstance(found, Measurement)
    assert found.value == pytest.approx(1e-5)
    assert isinstance(found.versus, Paired)
    assert found.versus.interval.value == pytest.approx(0.5)
    assert found.details["counters"] == ["package-0"]


def test_the_baseline_alone_is_compared_with_nothing(tmp_path: Path) -> None:
    counter = zone(tmp_path / "powercap", "intel-rapl:0", "package-0")
    model = classifier(tmp_path / "model")
    found = joules_per_run(
        model, model, SHORT, HungryContext(tmp_path, counter=counter, microjoules=5), tmp_path / "powercap"
    )
    assert isinstance(found, Measurement)
    assert found.versus == Unpaired()
    assert found.value == pytest.approx(1e-5)


def test_without_a_counter_there_is_no_value_and_nothing_is_opened(tmp_path: Path) -> None:
    model, context = classifier(tmp_path / "model"), MemoryContext(tmp_path)
    found = joules_per_run(model, model, SHORT, context, tmp_path / "nowhere")
    assert isinstance(found, Undefined)
    assert re.match("no readable energy counter", found.reason)
    assert context.opened == []


def test_a_counter_that_stands_still_gives_no_value(tmp_path: Path) -> None:
    zone(tmp_path / "powercap", "intel-rapl:0", "package-0", energy=7)
    model = classifier(tmp_path / "model")
    found = joules_per_run(model, model, SHORT, MemoryContext(tmp_path), tmp_path / "powercap")
    assert isinstance(found, Undefined)
    assert "did not move" in found.reason


def test_sockets_are_added_up_and_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0")
    zone(tmp_path, "intel-rapl:1", "package-1")
    zone(tmp_path, "intel-rapl:0:1", "dram")
    zone(tmp_path, "intel-rapl-mmio:0", "package-0")
    zone(tmp_path, "intel-rapl:2", "package-2").unlink()
    zone(tmp_path, "intel-rapl:3", "psys")
    assert [counter.name for counter in readable_counters(tmp_path)] == ["package-0", "package-1"]


def test_sizes_that_do_not_fit_the_model_are_refused(tmp_path: Path) -> None:
    zone(tmp_path / "powercap", "intel-rapl:0", "package-0")
    model = classifier(tmp_path / "model")
    with pytest.raises(InputError, match=r"OL206 dims.length"):
        config = SHORT.model_copy(update={"dims": {"length": 3}})
        joules_per_run(model, model, config, MemoryContext(tmp_path), tmp_path / "powercap")
