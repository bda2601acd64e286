from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from pydantic import ValidationError

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.outcome import Paired
from olivelike.errors import InputError
from olivelike.evaluate.timing.latency import Latency, LatencyConfig
from olivelike.testing.measure_context import MemoryContext
from olivelike.testing.metric_contract import MetricContract
from tests.evaluate.scripted_times import ScriptedContext, named
from tests.evaluate.tiny_models import classifier, write

SHORT = LatencyConfig(seconds=0, warmup=2)


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
    assert measured["p50"].value == pytest.approx(11.0), "ms: the median of the noise is 1.1"
    for name in ("p50", "mean", "p90"):
        versus = measured[name].versus
        assert isinstance(versus, Paired)
        assert versus.kind == "ratio"
        assert versus.interval.value == pytest.approx(0.5)
        assert versus.interval.low == pytest.approx(0.5) == versus.interval.high
    assert measured["p50"].n == 100
    assert measured["p50"].details["slower_than_twice_the_median"] == 20


def test_blocks_that_disagree_widen_the_interval() -> None:
    """The first half of the runs takes 10 ms, the second 20 ms: a single median would look certain."""
    drifting = iter([0.010] * 65 + [0.020] * 200)
    steady = cycle([0.010, 0.011])
    context = ScriptedContext({"drifting": drifting, "steady": steady})
    wide = Latency().measure(named("drifting"), named("drifting"), SHORT, context)["p50"]
    narrow = Latency().measure(named("steady"), named("steady"), SHORT, context)["p50"]
    assert wide.high - wide.low > 5 > narrow.high - narrow.low


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


@pytest.mark.parametrize("wrong", [{"runs": 99}, {"blocks": 7}, {"values": []}, {"values": ["p99"]}, {"warmup": 0}])
def test_settings_that_would_certify_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LatencyConfig.model_validate(wrong)


def test_sessions_are_those_of_the_candidate_and_the_baseline(tmp_path: Path) -> None:
    model = classifier(tmp_path)
    context = MemoryContext(tmp_path)
    Latency().measure(replace(model, digest="other"), model, SHORT, context)
    assert set(context.opened) == {"other", model.digest}
    assert context.opened.count("other") >= 4, "once for its signature, three times for timing"
