from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, cycle, repeat
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from pydantic import ValidationError

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Prospect
from olivelike.contracts.outcome import Measurement, Paired, Undefined, Unpaired
from olivelike.errors import InputError, MeasureError
from olivelike.evaluate.timing import paired_timing
from olivelike.evaluate.timing.latency import Latency, LatencyConfig, runs_needed, share_of
from olivelike.testing.measure_context import MemoryContext
from olivelike.testing.metric_contract import MetricContract
from tests.evaluate.scripted_times import ScriptedContext, named
from tests.evaluate.tiny_models import classifier, write

SHORT = LatencyConfig(seconds=0, warmup=2)


@pytest.fixture
def few_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs in each block: scripted runs take no real time, and would fill a block with thousands."""
    monkeypatch.setattr(paired_timing, "MOST_IN_BLOCK", 2)


class TestLatency(MetricContract):
    metric = Latency

    def artifact(self, folder: Path) -> Artifact:
        return classifier(folder)

    def context(self, folder: Path) -> MemoryContext:
        return MemoryContext(folder)

    def configs(self) -> Sequence[LatencyConfig]:
        return (SHORT, SHORT.model_copy(update={"values": ("p90", "p50"), "batch": 4}))


def test_a_model_twice_as_fast_has_the_ratio_one_half_however_noisy_both_are() -> None:
    noise = [1.0, 1.3, 0.9, 5.0, 1.1]
    context = ScriptedContext({"fast": cycle([0.010 * n for n in noise]), "slow": cycle([0.020 * n for n in noise])})
    measured = Latency().measure(named("fast"), named("slow"), SHORT, context)
    assert all(isinstance(value, Measurement) for value in measured.values())
    assert measured["p50"].value == pytest.approx(11.0), "ms: the median of the noise is 1.1"
    for name in ("p50", "p90"):
        versus = measured[name].versus
        assert isinstance(versus, Paired)
        assert versus.kind == "ratio"
        assert versus.interval.value == pytest.approx(0.5)
    paired = measured["p50"].versus
    assert isinstance(paired, Paired)
    assert paired.interval.low == pytest.approx(0.5) == paired.interval.high, "pair by pair, noise cancels"
    assert measured["p50"].n >= 44, "p90 takes so many"
    assert measured["p50"].details["slower_than_twice_the_median"] == pytest.approx(measured["p50"].n / 5, abs=1)


@pytest.mark.usefixtures("few_runs")
def test_blocks_that_disagree_widen_the_interval() -> None:
    """The first half of the runs takes 10 ms, the second 20 ms: a single median would look certain."""
    drifting = chain([0.010] * 100, repeat(0.020))
    context = ScriptedContext({"drifting": drifting, "steady": cycle([0.010, 0.011])})
    wide = Latency().measure(named("drifting"), named("drifting"), SHORT, context)["p50"]
    narrow = Latency().measure(named("steady"), named("steady"), SHORT, context)["p50"]
    assert isinstance(wide, Measurement)
    assert isinstance(narrow, Measurement)
    assert wide.high - wide.low > 5 > narrow.high - narrow.low


def test_the_baseline_is_timed_beside_its_own_copy_and_tells_what_can_be_told_apart() -> None:
    context = ScriptedContext({"steady": cycle([0.010])})
    measured = Latency().measure(named("steady"), named("steady"), SHORT, context)["p50"]
    assert isinstance(measured, Measurement)
    assert measured.versus == Unpaired()
    assert measured.details["against_its_copy"] == {"ratio": 1.0, "low": 1.0, "high": 1.0}


def test_a_candidate_that_is_out_is_timed_no_longer_than_that_takes() -> None:
    asked: list[int] = []

    def out(values: Mapping[str, Measurement]) -> Prospect:
        asked.append(values["p50"].n)
        return Prospect.OUT

    context = ScriptedContext({"slow": cycle([0.03]), "base": cycle([0.01])}, held_against=out)
    config = LatencyConfig(values=("p50",), warmup=2)
    measured = Latency().measure(named("slow"), named("base"), config, context)["p50"]
    assert isinstance(measured, Measurement)
    assert not measured.complete
    assert asked == [measured.n]
    assert measured.details["blocks"] == 8


def test_a_candidate_that_leaves_a_constraint_open_is_timed_until_that_is_decided() -> None:
    answers = chain([Prospect.OPEN] * 12, repeat(Prospect.CLEAR))
    context = ScriptedContext({"a": cycle([0.01]), "b": cycle([0.01])}, held_against=lambda values: next(answers))
    measured = Latency().measure(named("a"), named("b"), SHORT.model_copy(update={"runs": 20}), context)["p50"]
    assert isinstance(measured, Measurement)
    assert measured.details["blocks"] == 8 + 12
    assert measured.complete


def test_no_constraint_is_worth_more_time_than_the_search_has() -> None:
    context = ScriptedContext(
        {"a": cycle([0.01]), "b": cycle([0.01])}, held_against=lambda values: Prospect.OPEN, seconds_left=0.0
    )
    measured = Latency().measure(named("a"), named("b"), SHORT.model_copy(update={"values": ("p50",)}), context)["p50"]
    assert isinstance(measured, Measurement)
    assert measured.details["blocks"] == 8


@pytest.mark.usefixtures("few_runs")
def test_a_percentile_that_the_runs_cannot_certify_is_not_given() -> None:
    context = ScriptedContext({"a": cycle([0.01]), "b": cycle([0.01])})
    config = LatencyConfig(values=("p50", "p99"), seconds=0, longest=0, warmup=2)
    measured = Latency().measure(named("a"), named("b"), config, context)
    assert isinstance(measured["p50"], Measurement)
    assert isinstance(measured["p99"], Undefined)
    assert measured["p99"].reason.startswith("p99 takes 459 timed runs, and ")


@pytest.mark.usefixtures("few_runs")
def test_timing_goes_on_until_a_percentile_has_both_ends() -> None:
    """459 runs certify p99; an interval of it that is valid at any time takes some more."""
    context = ScriptedContext({"a": cycle([0.01]), "b": cycle([0.01])})
    config = LatencyConfig(values=("p99",), seconds=0, longest=60, warmup=2)
    measured = Latency().measure(named("a"), named("b"), config, context)["p99"]
    assert isinstance(measured, Measurement)
    assert measured.n > 459


def test_more_runs_are_made_for_a_percentile_while_there_is_time(tmp_path: Path) -> None:
    model = classifier(tmp_path)
    config = LatencyConfig(values=("p50", "p99"), seconds=0, longest=60, warmup=2)
    measured = Latency().measure(model, model, config, MemoryContext(tmp_path))["p99"]
    assert isinstance(measured, Measurement)
    assert measured.n >= 459


@pytest.mark.parametrize(("name", "runs"), [("p90", 44), ("p95", 90), ("p99", 459), ("p1", 459), ("mean", 1)])
def test_runs_needed_are_those_of_wilks(name: str, runs: int) -> None:
    """The largest of n runs lies below the 99th percentile with probability 0.99 ** n."""
    assert runs_needed(name) == runs
    if name != "mean":
        inside = max(share_of(name), 1 - share_of(name))
        assert inside**runs <= 0.01 < inside ** (runs - 1)


def test_a_mean_describes_the_runs_and_claims_nothing(tmp_path: Path) -> None:
    context = ScriptedContext({"a": cycle([0.010, 0.030]), "b": cycle([0.01])})
    config = SHORT.model_copy(update={"values": ("p50", "mean")})
    mean = Latency().measure(named("a"), named("b"), config, context)["mean"]
    assert isinstance(mean, Measurement)
    assert (mean.value, mean.low, mean.high) == (pytest.approx(20.0),) * 3
    assert mean.versus == Unpaired()
    assert [spec.describes for spec in Latency().values(config)] == [False, True]


def test_what_ended_because_it_was_decided_says_that_it_could_answer_more() -> None:
    context = ScriptedContext({"a": cycle([0.01]), "b": cycle([0.01])})
    decided = Latency().measure(named("a"), named("b"), LatencyConfig(values=("p50",), warmup=2), context)["p50"]
    exhausted = Latency().measure(named("a"), named("b"), SHORT.model_copy(update={"longest": 0.0}), context)["p50"]
    assert isinstance(decided, Measurement)
    assert isinstance(exhausted, Measurement)
    assert (decided.extendable, exhausted.extendable) == (True, False)


def test_what_the_searchs_time_cut_short_is_not_kept() -> None:
    context = ScriptedContext(
        {"a": cycle([0.01]), "b": cycle([0.01])}, held_against=lambda values: Prospect.OPEN, seconds_left=0.0
    )
    Latency().measure(named("a"), named("b"), SHORT.model_copy(update={"values": ("p50",)}), context)
    assert context.hurries == [True]


def test_a_clock_that_does_not_move_is_an_error_and_no_number() -> None:
    context = ScriptedContext({"a": cycle([0.0]), "b": cycle([0.0])})
    with pytest.raises(MeasureError, match="the clock does not move"):
        Latency().measure(named("a"), named("b"), SHORT, context)


def test_processors_to_pin_to_must_be_there(tmp_path: Path) -> None:
    model = classifier(tmp_path)
    with pytest.raises(InputError, match="OL105 pin: there is no processor 4095 to pin to"):
        Latency().measure(model, model, SHORT.model_copy(update={"pin": (4095,)}), MemoryContext(tmp_path))


def test_idle_threads_of_one_session_do_not_spin_against_the_other_unless_the_model_says_so() -> None:
    context = ScriptedContext({"a": cycle([0.01]), "b": cycle([0.01])})
    key = "session.force_spinning_stop"
    Latency().measure(named("a"), named("b", **{key: "0"}), SHORT, context)
    assert {str(manifest.session.get(key, "")) for manifest in context.manifests[2:]} == {"0", "1"}


def test_dims_name_the_dynamic_dimensions_to_time(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["tokens"], ["out"])]
    model = write(tmp_path, nodes, {"tokens": ("n", "length")}, {"out": ("n", "length")})
    config = SHORT.model_copy(update={"dims": {"length": 77}, "batch": 2})
    measured = Latency().measure(model, model, config, MemoryContext(tmp_path))["p50"]
    assert measured.details["shapes"] == {"tokens": [2, 77]}


def test_an_unknown_dimension_is_refused(tmp_path: Path) -> None:
    model = classifier(tmp_path)
    config = SHORT.model_copy(update={"dims": {"lenght": 77}})
    with pytest.raises(InputError, match="OL206"):
        Latency().measure(model, model, config, MemoryContext(tmp_path))


def test_data_are_fed_where_there_are_any_and_too_few_are_refused(tmp_path: Path) -> None:
    model = classifier(tmp_path)
    context = MemoryContext(tmp_path, {"image": np.ones((3, 3))})
    config = SHORT.model_copy(update={"batch": 3})
    assert Latency().measure(model, model, config, context)["p50"].details["shapes"] == {"image": [3, 3]}
    with pytest.raises(InputError, match=r"OL206 batch: .*fewer samples than a batch of 4"):
        Latency().measure(model, model, SHORT.model_copy(update={"batch": 4}), context)


def test_candidate_and_baseline_may_take_different_types(tmp_path: Path) -> None:
    from onnx import TensorProto

    single = classifier(tmp_path / "single")
    nodes = [helper.make_node("Identity", ["image"], ["logits"])]
    shapes = {"image": ("n", 3)}, {"logits": ("n", 3)}
    half = write(tmp_path / "half", nodes, *shapes, kind=TensorProto.FLOAT16)
    context = MemoryContext(tmp_path, {"image": np.ones((3, 3))})
    assert isinstance(Latency().measure(half, single, SHORT, context)["p50"].versus, Paired)


@pytest.mark.parametrize(
    "wrong",
    [
        {"runs": 19},
        {"values": []},
        {"values": ["p0"]},
        {"values": ["p100"]},
        {"values": ["p-5"]},
        {"values": ["p101"]},
        {"values": ["fastest"]},
        {"values": ["p"]},
        {"warmup": 0},
    ],
)
def test_settings_that_would_certify_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LatencyConfig.model_validate(wrong)


def test_sessions_are_those_of_the_candidate_and_the_baseline(tmp_path: Path) -> None:
    model = classifier(tmp_path)
    context = MemoryContext(tmp_path)
    Latency().measure(replace(model, digest="other"), model, SHORT, context)
    assert set(context.opened) == {"other", model.digest}
    assert context.opened.count("other") >= 4, "once for its signature, three times for timing"
