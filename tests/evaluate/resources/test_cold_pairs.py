from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Prospect
from olivelike.contracts.outcome import Measurement, Paired, Unpaired, Value
from olivelike.evaluate.resources.cold_pairs import ColdConfig, Reading, cold_values
from olivelike.evaluate.resources.fresh_process import Life
from olivelike.testing.measure_context import MemoryContext
from tests.evaluate.scripted_times import named

if TYPE_CHECKING:
    from olivelike.contracts.data import Array


def measured(value: Value) -> Measurement:
    assert isinstance(value, Measurement)
    return value


LOAD = Reading("load", lambda life: life.load_seconds)


@dataclass
class Scripted:
    """Takes the seconds it is told, by the artifact's digest, and remembers who was started."""

    seconds: Mapping[str, Iterator[float]]
    started: list[str] = field(default_factory=list)

    def __call__(self, artifact: Artifact, feeds: Mapping[str, Array], runs: int) -> Life:
        self.started.append(artifact.digest)
        return Life(next(self.seconds[artifact.digest]), (), {}, {}, {})


def test_a_model_that_loads_in_half_the_time_has_the_ratio_one_half_however_slow_a_round_is(tmp_path: Path) -> None:
    drift = [1.0, 1.3, 2.0, 0.9, 1.1]
    live = Scripted({"fast": cycle([0.1 * d for d in drift]), "slow": cycle([0.2 * d for d in drift])})
    models = [(named("fast"), {}), (named("slow"), {})]
    found = measured(cold_values(models, [LOAD], ColdConfig(), MemoryContext(tmp_path), live, 0)["load"])
    assert isinstance(found.versus, Paired)
    assert found.versus.interval.value == pytest.approx(0.5)
    assert found.versus.interval.high == pytest.approx(0.5)
    assert found.n == 8
    assert found.low < found.value < found.high


def test_the_first_round_brings_the_files_into_the_cache_and_does_not_count(tmp_path: Path) -> None:
    live = Scripted({"model": iter([60.0] + [0.1] * 8)})
    found = measured(
        cold_values([(named("model"), {})], [LOAD], ColdConfig(), MemoryContext(tmp_path), live, 0)["load"]
    )
    assert found.value == pytest.approx(100.0)
    assert found.versus == Unpaired()


def test_who_starts_first_changes_from_round_to_round(tmp_path: Path) -> None:
    live = Scripted({"a": cycle([0.1]), "b": cycle([0.1])})
    cold_values([(named("a"), {}), (named("b"), {})], [LOAD], ColdConfig(), MemoryContext(tmp_path), live, 0)
    assert {tuple(live.started[place : place + 2]) for place in range(0, len(live.started), 2)} == {
        ("a", "b"),
        ("b", "a"),
    }


def test_an_open_constraint_is_measured_longer_and_a_decided_one_is_not(tmp_path: Path) -> None:
    answers = iter([Prospect.OPEN, Prospect.OPEN, Prospect.OUT])
    context = MemoryContext(tmp_path, held_against=lambda values: next(answers))
    live = Scripted({"a": cycle([0.1, 0.2])})
    found = measured(cold_values([(named("a"), {})], [LOAD], ColdConfig(), context, live, 0)["load"])
    assert (found.n, found.complete) == (10, False)


def test_an_outlier_in_a_few_processes_does_not_move_the_median(tmp_path: Path) -> None:
    live = Scripted({"a": cycle([0.1] * 7 + [9.0])})
    found = measured(cold_values([(named("a"), {})], [LOAD], ColdConfig(), MemoryContext(tmp_path), live, 0)["load"])
    assert found.value == pytest.approx(100.0)
    assert found.high == pytest.approx(9000.0), "eight processes bound a median by their extremes"


def test_the_budget_ends_what_stays_open(tmp_path: Path) -> None:
    context = MemoryContext(tmp_path, held_against=lambda values: Prospect.OPEN)
    config = ColdConfig(seconds=0)
    found = cold_values([(named("a"), {})], [LOAD], config, context, Scripted({"a": cycle([0.1])}), 0)["load"]
    assert measured(found).n == 8


def test_fewer_than_eight_processes_are_refused() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 8"):
        ColdConfig(processes=7)
