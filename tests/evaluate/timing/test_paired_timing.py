"""A clock that moves only when a fake model runs or loads makes everything exact."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest

from olivelike.evaluate.timing.paired_timing import Budget, Runner, take_turns


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Model:
    """Takes `loading` seconds to load and `running` to run, and writes down each of its runs."""

    clock: Clock
    name: str
    running: float
    loading: float = 0.0
    log: list[str] = field(default_factory=list)

    def open(self) -> Runner:
        self.clock.now += self.loading
        return self.run

    def run(self) -> float:
        self.clock.now += self.running
        self.log.append(self.name)
        return self.running


def two(running: float, loading: float = 0.0) -> tuple[Clock, list[Model], list[str]]:
    clock, log = Clock(), list[str]()
    return clock, [Model(clock, name, running, loading, log) for name in ("a", "b")], log


def openers(models: list[Model]) -> list[Callable[[], Runner]]:
    return [model.open for model in models]


def test_a_slow_model_gets_the_runs_asked_for_and_no_more() -> None:
    clock, models, log = two(running=1.0)
    timings = take_turns(openers(models), Budget(100, 0.6, 10, 10), 0, clock)
    assert [[len(block) for block in stream] for stream in timings.streams] == [[10] * 10, [10] * 10]
    assert len(log) == 2 * (100 + 10 * 2), "a hundred timed runs each, two warm-ups in each block"


def test_a_fast_model_is_run_until_the_seconds_are_over() -> None:
    clock, models, _ = two(running=0.0001)
    timings = take_turns(openers(models), Budget(100, 0.6, 10, 10), 0, clock)
    assert sum(map(len, timings.streams[0])) == pytest.approx(1500, abs=10), "0.6 s / (2 models x 2 runs x 0.1 ms)"
    assert clock.now == pytest.approx(0.6 + 10 * 10 * 2 * 0.0001, abs=10 * 0.0004)


def test_a_model_that_takes_no_time_at_all_is_not_run_forever() -> None:
    timings = take_turns([lambda: lambda: 0.0], Budget(100, 0.6, 10, 10), 0, Clock())
    assert sum(map(len, timings.streams[0])) == 20_000


def test_models_take_turns_in_an_order_that_only_the_seed_decides() -> None:
    def order(seed: int) -> list[str]:
        clock, models, log = two(running=1.0)
        take_turns(openers(models), Budget(100, 0, 1, 10), seed, clock)
        return log

    assert order(1) == order(1) != order(2)
    rounds = [tuple(order(1)[index : index + 2]) for index in range(0, len(order(1)), 2)]
    assert set(rounds) == {("a", "b"), ("b", "a")}


def test_a_short_timed_run_follows_an_untimed_one_of_the_same_model() -> None:
    clock, models, log = two(running=0.001)
    timings = take_turns(openers(models), Budget(100, 0, 1, 10), 0, clock)
    first_block = log[2 : 2 + 4 * len(timings.streams[0][0])]
    assert first_block[0::2] == first_block[1::2]


def test_models_are_loaded_anew_for_each_block_where_loading_is_cheap() -> None:
    clock, models, _ = two(running=0.01, loading=0.01)
    assert take_turns(openers(models), Budget(100, 0, 2, 10), 0, clock).openings == 10


def test_neither_model_is_always_the_first_to_be_loaded() -> None:
    clock, models, _ = two(running=1.0)
    loads: list[str] = []

    def load(model: Model) -> Runner:
        loads.append(model.name)
        return model.open()

    take_turns([partial(load, model) for model in models], Budget(100, 0, 1, 10), 0, clock)
    assert loads == ["b", "a", "a", "b"] * 5


def test_loading_that_takes_much_longer_than_running_is_done_three_times() -> None:
    clock, models, _ = two(running=0.01, loading=100)
    assert take_turns(openers(models), Budget(100, 0, 2, 10), 0, clock).openings == 3


def test_one_model_is_timed_alone() -> None:
    clock, models, log = two(running=1.0)
    timings = take_turns(openers(models)[:1], Budget(100, 0, 1, 10), 0, clock)
    assert len(timings.streams) == 1
    assert set(log) == {"a"}


def test_the_garbage_collector_rests_meanwhile_and_works_afterwards() -> None:
    states: list[bool] = []

    def run() -> float:
        states.append(gc.isenabled())
        return 1.0

    take_turns([lambda: run], Budget(100, 0, 1, 10), 0, Clock())
    assert set(states) == {False}
    assert gc.isenabled()
