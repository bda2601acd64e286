"""Queues with a clock that moves only when a fake model runs or somebody sleeps: what theory says of them is exact."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, cycle, pairwise, repeat
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from pydantic import ValidationError

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Prospect
from olivelike.contracts.outcome import Interval, Measurement, Paired, Undefined, Unpaired, Value
from olivelike.errors import InputError, MeasureError
from olivelike.evaluate.timing import arrivals
from olivelike.evaluate.timing.arrivals import poisson_arrivals, serve
from olivelike.evaluate.timing.server import Server, ServerConfig, plan_of, serve_models
from olivelike.evaluate.timing.serving import LEADING, Plan, settling
from olivelike.testing.measure_context import MemoryContext
from olivelike.testing.metric_contract import MetricContract
from tests.evaluate.scripted_times import ScriptedContext, named
from tests.evaluate.tiny_models import classifier

SHORT = ServerConfig(rate=100, values=("p50", "mean"), seconds=0, longest=0, warmup=2)
SLOWLY = ServerConfig(rate=1, values=("p50", "mean"), seconds=0, longest=0, warmup=2)
"""One request per second, eight in each of eight blocks."""


class TestServer(MetricContract):
    metric = Server

    def artifact(self, folder: Path) -> Artifact:
        return classifier(folder)

    def context(self, folder: Path) -> MemoryContext:
        return MemoryContext(folder)

    def configs(self) -> Sequence[ServerConfig]:
        return (SHORT, SHORT.model_copy(update={"values": ("p90",), "batch": 4, "longest": 20.0}))


@dataclass
class Clock:
    """Moves when somebody sleeps, exactly, or when a model that was given to `running` runs."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def running(self, seconds: Iterator[float]) -> Iterator[float]:
        for each in seconds:
            self.now += each
            yield each


@pytest.fixture(autouse=True)
def exact_sleep(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody watches a clock that moves only when somebody sleeps."""
    if request.cls is None:
        monkeypatch.setattr(arrivals, "SPIN", 0.0)


def served(
    config: ServerConfig, candidate: Iterator[float], baseline: Iterator[float], **context: Any
) -> Mapping[str, Value]:
    clock = Clock()
    scripted = {"a": clock.running(candidate), "b": clock.running(baseline)}
    return serve_models(named("a"), named("b"), config, ScriptedContext(scripted, **context), clock, clock.pause)


def measured(value: Value) -> Measurement:
    assert isinstance(value, Measurement)
    return value


def ratio(value: Value) -> Interval:
    versus = measured(value).versus
    assert isinstance(versus, Paired)
    return versus.interval


def test_the_wait_is_that_of_pollaczek_and_khinchine() -> None:
    """Constant service times of 1 s (an M/D/1 queue): a request waits rho / (2 mu (1 - rho)) on average.

    The candidate is 70 % busy, so its requests wait 1.167 s and take 2.167 s; the baseline, with 0.8 s, is 56 % busy. Over
    fifteen seeds the mean of so many requests had a standard deviation of 1.7 %; four of them are allowed.
    """
    config = SLOWLY.model_copy(update={"rate": 0.7, "seconds": 16 * 2500 / 0.7})
    values = served(config, cycle([1.0]), cycle([0.8]))
    found, median = measured(values["mean"]), measured(values["p50"])
    assert found.n >= 8 * 2000
    assert found.value / 1e3 == pytest.approx(1 + 0.7 / (2 * 0.3), rel=0.07)
    assert median.low < median.value < median.high
    assert ratio(median).low > 1 / 0.8, "queues make a slower server more than as much slower"
    assert found.details["utilisation"] == pytest.approx(0.7, rel=0.03)


def test_a_server_that_is_hardly_busy_takes_as_long_as_one_run() -> None:
    """At 1/s and 1 microsecond a request two requests meet about once in a million."""
    found = served(SLOWLY.model_copy(update={"values": ("p50", "mean")}), cycle([2e-6]), cycle([1e-6]))
    assert all(measured(value).value == pytest.approx(0.002, rel=1e-3) for value in found.values())
    assert ratio(found["p50"]).value == pytest.approx(2, rel=1e-3)
    assert ratio(found["p50"]).high == pytest.approx(2, rel=1e-3)


def test_a_model_that_cannot_keep_up_has_no_latency_and_it_is_said_how_many_it_serves() -> None:
    found = served(SLOWLY.model_copy(update={"rate": 500}), cycle([1 / 320]), cycle([0.001]))["mean"]
    assert found == Undefined("cannot keep up with 500/s: serves about 320/s")
    found = served(SLOWLY.model_copy(update={"rate": 50_000}), cycle([1 / 12_345]), cycle([1e-6]))["mean"]
    assert found == Undefined("cannot keep up with 50000/s: serves about 12300/s")


def test_a_hopeless_queue_is_given_up_before_its_block_ends() -> None:
    """Ten requests planned for about 10 ms, of 10 s each: what was served when patience ended tells the pace."""
    runs = cycle([10.0])
    clock = Clock()
    context = ScriptedContext({"a": clock.running(runs), "b": clock.running(cycle([1e-4]))})
    config = SLOWLY.model_copy(update={"rate": 1000})
    found = serve_models(named("a"), named("b"), config, context, clock, clock.pause)["mean"]
    assert found == Undefined("cannot keep up with 1000/s: serves about 0.1/s")
    assert clock.now < 100, "two warm-ups and two requests in each of two blocks"


def test_a_model_that_barely_keeps_up_has_no_latency_either() -> None:
    found = served(SLOWLY, cycle([0.8]), cycle([0.001]))["mean"]
    assert isinstance(found, Undefined)
    assert found.reason == (
        "barely keeps up with 1/s: 80.0% busy, its queue takes about 72 requests to settle, and a block has 8; "
        "raise `longest`"
    )


def test_blocks_are_made_so_long_that_the_queue_settles() -> None:
    """At 90 % busy a queue takes 342 requests to settle; eight of them would give a mean that is 60 % low."""
    busy = SLOWLY.model_copy(update={"rate": 0.9})
    assert isinstance(served(busy, cycle([1.0]), cycle([0.5]))["mean"], Undefined)
    longer = busy.model_copy(update={"longest": 20_000})
    found = measured(served(longer, cycle([1.0]), cycle([0.5]))["mean"])
    assert found.details["requests_in_block"] == 684, "twice 342"
    assert found.value / 1e3 == pytest.approx(1 + 0.9 / 0.2, rel=0.25), "5,472 requests, and 2 % low"


@pytest.mark.parametrize(
    ("most", "seconds", "counted"),
    [
        (10_000, (0.9, 0.5), 684),
        (400, (0.9, 0.5), 400),
        (300, (0.9, 0.5), 12),
        (300, (1.5, 1.0), 8),
    ],
    ids=["twice what it takes", "as long as may be", "the other one's", "none that would do"],
)
def test_a_block_grows_for_the_queues_that_fit_into_it(most: int, seconds: tuple[float, ...], counted: int) -> None:
    """At 90 % busy a queue takes 342 requests to settle, at 50 % 5.8; a server that cannot keep up asks for nothing."""
    assert Plan(rate=1, counted=8, most=most, warm_ups=2).fitted(seconds).counted == counted


@pytest.mark.parametrize("busy", [0.7, 0.85])
def test_a_queue_that_has_settled_shows_the_mean_of_theory_within_five_percent(busy: float) -> None:
    """Five hundred blocks as short as is allowed: the bias that `settling` speaks of, beyond the noise of a single run."""
    counted = math.ceil(settling(busy))
    leading = math.ceil(LEADING * counted)
    clock, source = Clock(), random.Random(0)
    runs = clock.running(repeat(1.0))
    blocks = [
        serve(lambda: next(runs), poisson_arrivals(busy, leading + counted, source), clock, clock.pause)
        for _ in range(500)
    ]
    mean = fmean(latency for block in blocks for latency in block.latencies[leading:])
    assert 0.92 < mean / (1 + busy / (2 * (1 - busy))) < 1.03, "at most 5 % low, and a noise of about 2 %"


@pytest.mark.parametrize("slow", [1.2, 60.0], ids=["its queue grows", "it is given up"])
def test_where_only_the_baseline_cannot_keep_up_the_candidates_value_stands_alone(slow: float) -> None:
    found = measured(served(SLOWLY, cycle([1e-6]), cycle([slow]))["mean"])
    assert found.value == pytest.approx(0.001, rel=1e-3)
    assert found.versus == Unpaired()
    pace = {1.2: "0.833", 60.0: "0.0167"}[slow]
    assert found.details["baseline"] == f"the baseline cannot keep up with 1/s: serves about {pace}/s"


def test_the_baseline_is_served_beside_its_own_copy() -> None:
    clock = Clock()
    context = ScriptedContext({"a": clock.running(cycle([1e-6]))})
    found = measured(serve_models(named("a"), named("a"), SLOWLY, context, clock, clock.pause)["mean"])
    assert found.versus == Unpaired()
    assert found.details["against_its_copy"] == {
        name: pytest.approx(1.0, rel=1e-3) for name in ("ratio", "low", "high")
    }


def test_both_models_of_a_pair_of_blocks_get_the_same_arrivals() -> None:
    """Latencies under load differ from request to request; of two equal models they are equal request by request."""
    found = measured(served(SLOWLY.model_copy(update={"rate": 0.5}), cycle([1.0]), cycle([1.0]))["p50"])
    assert found.low < found.high
    assert ratio(found) == Interval(*(pytest.approx(1.0, rel=1e-9),) * 3)


def test_a_sleep_that_is_late_makes_no_request_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sleep returns 1.5 ms late; the clock moves by 0.01 ms whenever it is read."""
    monkeypatch.setattr(arrivals, "SPIN", 0.002)
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 1e-5
        return now

    def late(seconds: float) -> None:
        nonlocal now
        now += seconds + 0.0015

    block = serve(lambda: 0.0, (0.5, 1.0, 1.0025), clock, late)
    assert block.whole
    assert max(block.latencies) < 5e-5, "four readings of the clock at most"


def test_requests_wait_for_those_before_them() -> None:
    clock = Clock()
    runs = clock.running(cycle([2.0]))
    block = serve(lambda: next(runs), (1.0, 2.0, 2.5, 9.0), clock, clock.pause)
    assert block.latencies == (2.0, 3.0, 4.5, 2.0)
    assert block.services == (2.0,) * 4
    assert block.seconds == 11.0


def test_arrivals_come_at_the_rate_and_without_memory() -> None:
    """The mean and the standard deviation of an exponential time are equal; 40,000 of them give each to 1 %."""
    moments = poisson_arrivals(5.0, 40_000, random.Random(0))
    gaps = [after - before for before, after in pairwise((0.0, *moments))]
    assert fmean(gaps) == pytest.approx(0.2, rel=0.02)
    assert stdev(gaps) == pytest.approx(0.2, rel=0.03)
    assert poisson_arrivals(5.0, 9, random.Random(1)) == poisson_arrivals(5.0, 9, random.Random(1))


def test_a_candidate_that_is_out_is_served_no_longer_than_that_takes() -> None:
    config = SLOWLY.model_copy(update={"seconds": 1e6, "longest": 1e6})
    found = measured(served(config, cycle([0.01]), cycle([0.01]), held_against=lambda values: Prospect.OUT)["mean"])
    assert not found.complete
    assert found.details["blocks"] == 8


def test_a_candidate_that_leaves_a_constraint_open_is_served_until_that_is_decided() -> None:
    answers = chain([Prospect.OPEN] * 3, repeat(Prospect.CLEAR))
    config = SLOWLY.model_copy(update={"longest": 1e6})
    found = measured(served(config, cycle([0.01]), cycle([0.01]), held_against=lambda values: next(answers))["mean"])
    assert found.complete
    assert found.details["blocks"] == 8 + 3


def test_serving_goes_on_until_the_percentiles_asked_for_have_both_ends() -> None:
    """Eight blocks hold the 459 requests that p99 takes; its interval, valid at any time, takes some more."""
    config = SLOWLY.model_copy(update={"values": ("p99",)})
    assert plan_of(config).counted * 8 >= 459
    found = served(config, cycle([0.01]), cycle([0.01]))["p99"]
    assert found == Undefined("464 timed runs bound p99 on one side only: more are needed, raise `longest`")
    longer = config.model_copy(update={"longest": 1e6})
    assert measured(served(longer, cycle([0.01]), cycle([0.01]))["p99"]).n > 464


def test_a_clock_that_does_not_move_is_an_error_and_no_number() -> None:
    clock = Clock()
    context = ScriptedContext({"a": cycle([0.0]), "b": cycle([0.0])})
    with pytest.raises(MeasureError, match="the clock does not move"):
        serve_models(named("a"), named("b"), SLOWLY, context, clock, clock.pause)


def test_processors_to_pin_to_must_be_there(tmp_path: Path) -> None:
    model = classifier(tmp_path)
    with pytest.raises(InputError, match="OL105 pin: there is no processor 4095 to pin to"):
        Server().measure(model, model, SHORT.model_copy(update={"pin": (4095,)}), MemoryContext(tmp_path))


@pytest.mark.parametrize(
    "wrong", [{}, {"rate": 0}, {"rate": -1}, {"rate": float("inf")}, {"rate": 5, "values": ["p0"]}]
)
def test_a_rate_must_be_given_and_possible(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ServerConfig.model_validate(wrong)
