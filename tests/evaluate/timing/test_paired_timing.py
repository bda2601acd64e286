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


def timed_beside(
    openers: list[Callable[[], Runner]],
    enough: Callable[[int, Timings], bool],
    warm_ups: int,
    seed: int,
    clock: Callable[[], float],
) -> Timings:
    """Times one model beside the reference, which is the second."""
    other, reference = openers
    [timings] = take_turns(reference, [other], enough, warm_ups=warm_ups, seed=seed, clock=clock)
    return timings


def at_once(index: int, timings: Timings) -> bool:
    return True


def test_a_slow_model_is_run_twice_in_each_of_eight_blocks_at_least() -> None:
    clock, models, log = two(running=1.0)
    timings = timed_beside(openers(models), at_once, warm_ups=50, seed=0, clock=clock)
    assert [[len(block) for block in stream] for stream in (timings.own, timings.reference)] == [[2] * 8, [2] * 8]
    assert len(log) == 2 * (8 * 2 + sum(timings.warm_ups))
    assert timings.runs == 16


def test_a_fast_model_fills_each_block_with_runs() -> None:
    clock, models, _ = two(running=0.0001)
    timings = timed_beside(openers(models), at_once, warm_ups=50, seed=0, clock=clock)
    assert {len(block) for block in timings.own} <= {150, 151}, "60 ms / (2 models x 2 runs x 0.1 ms)"


def test_timing_goes_on_block_by_block_until_it_is_enough() -> None:
    clock, models, _ = two(running=1.0)
    asked: list[int] = []

    def enough(index: int, timings: Timings) -> bool:
        asked.append(timings.blocks)
        return timings.blocks == 11

    assert timed_beside(openers(models), enough, warm_ups=2, seed=0, clock=clock).blocks == 11
    assert asked == [8, 9, 10, 11]


def test_several_models_share_the_reference_s_runs_and_each_leaves_when_enough_is_known_of_it() -> None:
    clock, log = Clock(), list[str]()
    reference, quick, slow = (Model(clock, name, 1.0, 0.0, log) for name in ("reference", "quick", "slow"))

    def enough(index: int, timings: Timings) -> bool:
        return timings.blocks == (9, 12)[index]

    others = [quick.open, slow.open]
    of_quick, of_slow = take_turns(reference.open, others, enough, warm_ups=2, seed=0, clock=clock)
    assert (of_quick.blocks, of_slow.blocks) == (9, 12)
    assert of_slow.reference[:9] == of_quick.reference
    assert len(of_slow.reference) == 12
    assert log.count("quick") == 9 * 4, "two untimed runs and two timed ones in each of its blocks"
    assert log.count("reference") == log.count("slow") == 12 * 4


def test_the_runs_of_a_model_stay_its_own_when_one_before_it_has_left() -> None:
    clock = Clock()
    models = [Model(clock, str(running), running) for running in (1.0, 2.0, 3.0, 4.0)]

    def enough(index: int, timings: Timings) -> bool:
        return timings.blocks == (9, 8, 10)[index]

    first, *others = openers(models)
    found = take_turns(first, others, enough, warm_ups=1, seed=3, clock=clock)
    assert [{run for block in timings.own for run in block} for timings in found] == [{2.0}, {3.0}, {4.0}]
    assert {run for block in found[2].reference for run in block} == {1.0}


def test_a_clock_that_does_not_move_ends_the_timing() -> None:
    with pytest.raises(MeasureError, match="the clock does not move"):
        timed_beside([lambda: lambda: 0.0] * 2, at_once, warm_ups=2, seed=0, clock=Clock())


def test_models_take_turns_in_an_order_that_only_the_seed_decides() -> None:
    def order(seed: int) -> list[str]:
        clock, models, log = two(running=1.0)
        timed_beside(openers(models), at_once, warm_ups=1, seed=seed, clock=clock)
        return log

    assert order(1) == order(1) != order(2)
    rounds = [tuple(order(1)[index : index + 2]) for index in range(0, len(order(1)), 2)]
    assert set(rounds) == {("a", "b"), ("b", "a")}


def test_a_short_timed_run_follows_an_untimed_one_of_the_same_model() -> None:
    clock, models, log = two(running=0.001)
    timings = timed_beside(openers(models), at_once, warm_ups=1, seed=0, clock=clock)
    first_block = log[2 : 2 + 4 * len(timings.own[0])]
    assert first_block[0::2] == first_block[1::2]


def test_models_are_loaded_anew_for_each_block_where_loading_is_cheap() -> None:
    clock, models, _ = two(running=0.01, loading=0.01)
    assert timed_beside(openers(models), at_once, warm_ups=2, seed=0, clock=clock).openings == 8


def test_neither_model_is_always_the_first_to_be_loaded() -> None:
    clock, models, _ = two(running=1.0)
    loads: list[str] = []

    def load(model: Model) -> Runner:
        loads.append(model.name)
        return model.open()

    timed_beside([partial(load, model) for model in models], at_once, warm_ups=1, seed=0, clock=clock)
    assert loads == ["a", "b", "b", "a"] * 4


def test_loading_that_takes_much_longer_than_running_is_done_three_times() -> None:
    clock, models, _ = two(running=0.01, loading=100)
    assert timed_beside(openers(models), at_once, warm_ups=2, seed=0, clock=clock).openings == 3


def test_the_garbage_collector_rests_meanwhile_and_works_afterwards() -> None:
    states: list[bool] = []

    def run() -> float:
        states.append(gc.isenabled())
        return 1.0

    timed_beside([lambda: run] * 2, at_once, warm_ups=1, seed=0, clock=Clock())
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
