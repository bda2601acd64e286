"""Comparing models: what an interval of a ratio shows, and real models beside each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from olivelike.contracts.outcome import Interval
from olivelike.engine.bench import Options, Verdict, bench, verdict_of
from olivelike.errors import InputError
from olivelike.testing import models

BRIEF = Options(batch=4, threads=1, values=("p50",), seconds=0)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.5, 0.52, Verdict.FASTER),
        (0.97, 0.985, Verdict.FASTER),
        (0.97, 0.995, Verdict.SAME),
        (0.995, 1.009, Verdict.SAME),
        (1.011, 1.02, Verdict.SLOWER),
        (5.0, 6.0, Verdict.SLOWER),
        (0.9, 1.1, Verdict.NOISY),
        (0.0, float("inf"), Verdict.NOISY),
    ],
)
def test_less_than_one_percent_is_no_difference_and_a_wide_interval_is_noise(
    low: float, high: float, verdict: Verdict
) -> None:
    assert verdict_of(Interval((low + high) / 2, low, high)) is verdict


def test_a_model_many_times_the_size_is_shown_slower(tmp_path: Path) -> None:
    small = models.save(models.matmul_chain(layers=1, width=16), tmp_path / "small")
    large = models.save(models.matmul_chain(layers=12, width=384), tmp_path / "large")
    found = bench([small, large, small], BRIEF)
    assert next(timed.verdict for timed in found.others) is Verdict.SLOWER
    document = json.loads(json.dumps(found.to_json()))
    assert document["verdict"] == "slower"
    assert document["ratio"]["low"] <= document["ratio"]["value"] <= document["ratio"]["high"]
    assert document["first"]["metrics"]["p50"]["n"] >= 16
    assert len(document["others"]) == 2


def test_a_single_model_is_timed_beside_its_own_copy(tmp_path: Path) -> None:
    document = bench([models.save(models.mlp(), tmp_path)], BRIEF).to_json()
    assert document["verdict"] is None
    assert set(document["first"]["beside_its_copy"]) == {"value", "low", "high"}  # type: ignore[call-overload, index, arg-type]


def test_what_is_wrong_with_a_model_or_an_option_is_said(tmp_path: Path) -> None:
    good = models.save(models.mlp(), tmp_path)
    with pytest.raises(InputError, match=r"OL201"):
        bench([good, tmp_path / "missing.onnx"], BRIEF)
    with pytest.raises(InputError, match=r"OL105.*p200"):
        bench([good], Options(values=("p200",)))
    with pytest.raises(InputError, match=r"OL210"):
        bench([good], Options(providers=("cuda",)))
    with pytest.raises(InputError, match=r"OL206"):
        bench([good], Options(dims={"nothing": 3}))
