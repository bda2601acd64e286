"""A clock that moves only when a fake model runs or loads makes everything exact."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest

from olivelike.errors import MeasureError
from olivelike.evaluate.timing.paired_timing import Timings, take_turns
from olivelike.evaluate.timing.warm_up import Runner, warm_up


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


def at_once(timings: Timings) -> bool:
    return True


def test_a_slow_model_is_run_twice_in_each_of_eight_blocks_at_least() -> None:
    clock, models, log = two(running=1.0)
    timings = take_turns(openers(models), at_once, warm_ups=50, seed=0, clock=clock)
    assert [[len(block) for block in stream] for stream in timings.streams] == [[2] * 8, [2] * 8]
    assert len(log) == 2 * (8 * 2 + sum(timings.warm_ups))
    assert timings.runs == 16


def test_a_fast_model_fills_each_block_with_runs() -> None:
    clock, models, _ = two(running=0.0001)
    timings = take_turns(openers(models), at_once, warm_ups=50, seed=0, clock=clock)
    assert {len(block) for block in timings.streams[0]} <= {150, 151}, "60 ms / (2 models x 2 runs x 0.1 ms)"


def test_timing_goes_on_block_by_block_until_it_is_enough() -> None:
    clock, models, _ = two(running=1.0)
    asked: list[int] = []

    def enough(timings: Timings) -> bool:
        asked.append(timings.blocks)
        return timings.blocks == 11

    assert take_turns(openers(models), enough, warm_ups=2, seed=0, clock=clock).blocks == 11
    assert asked == [8, 9, 10, 11]


def test_a_clock_that_does_not_move_ends_the_timing() -> None:
    with pytest.raises(MeasureError, match="the clock does not move"):
        take_turns([lambda: lambda: 0.0] * 2, at_once, warm_ups=2, seed=0, clock=Clock())


def test_models_take_turns_in_an_order_that_only_the_seed_decides() -> None:
    def order(seed: int) -> list[str]:
        clock, models, log = two(running=1.0)
        take_turns(openers(models), at_once, warm_ups=1, seed=seed, clock=clock)
        return log

    assert order(1) == order(1) != order(2)
    rounds = [tuple(order(1)[index : index + 2]) for index in range(0, len(order(1)), 2)]
    assert set(rounds) == {("a", "b"), ("b", "a")}


def test_a_short_timed_run_follows_an_untimed_one_of_the_same_model() -> None:
    clock, models, log = two(running=0.001)
    timings = take_turns(openers(models), at_once, warm_ups=1, seed=0, clock=clock)
    first_block = log[2 : 2 + 4 * len(timings.streams[0][0])]
    assert first_block[0::2] == first_block[1::2]


def test_models_are_loaded_anew_for_each_block_where_loading_is_cheap() -> None:
    clock, models, _ = two(running=0.01, loading=0.01)
    assert take_turns(openers(models), at_once, warm_ups=2, seed=0, clock=clock).openings == 8


def test_neither_model_is_always_the_first_to_be_loaded() -> None:
    clock, models, _ = two(running=1.0)
    loads: list[str] = []

    def load(model: Model) -> Runner:
        loads.append(model.name)
        return model.open()

    take_turns([partial(load, model) for model in models], at_once, warm_ups=1, seed=0, clock=clock)
    assert loads == ["b", "a", "a", "b"] * 4


def test_loading_that_takes_much_longer_than_running_is_done_three_times() -> None:
    clock, models, _ = two(running=0.01, loading=100)
    assert take_turns(openers(models), at_once, warm_ups=2, seed=0, clock=clock).openings == 3


def test_the_garbage_collector_rests_meanwhile_and_works_afterwards() -> None:
    states: list[bool] = []

    def run() -> float:
        states.append(gc.isenabled())
        return 1.0

    take_turns([lambda: run] * 2, at_once, warm_ups=1, seed=0, clock=Clock())
    assert set(states) == {False}
    assert gc.isenabled()


def scripted(*seconds: float) -> Runner:
    times = iter(seconds)
    return lambda: next(times)


def test_warming_up_ends_when_the_times_no_longer_fall() -> None:
    falling = [10.0, 9, 8, 7, 6, 5, 4.5, 4.2, 4.1, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4]
    warm = warm_up([scripted(*falling)], 100, 1e9, Clock(), fresh=True)
    assert (warm.runs, warm.seconds) == (17, 4.0), (
        "runs 13 to 17 are the first five that are no faster than the five before, within two percent"
    )


def test_warming_up_waits_for_the_slowest_to_settle() -> None:
    steady, falling = [1.0] * 40, [float(40 - n) for n in range(20)] + [20.0] * 20
    assert warm_up([scripted(*steady), scripted(*falling)], 100, 1e9, Clock(), fresh=True).runs > 20


def test_warming_up_has_an_end_for_a_model_that_always_gets_faster() -> None:
    assert warm_up([scripted(*(0.9**n for n in range(99)))], 30, 1e9, Clock(), fresh=True).runs == 30


def test_a_warm_model_is_run_twice() -> None:
    assert warm_up([scripted(3.0, 2.0, 1.0)], 30, 1e9, Clock(), fresh=False).runs == 2
