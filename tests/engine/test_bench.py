"""Comparing models: what an interval of a ratio shows, and real models beside each other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from olivelike.cli.tables import bench_lines
from olivelike.contracts.outcome import Interval, Measurement, Paired
from olivelike.engine.bench import Bench, Options, Timed, Verdict, bench, verdict_of
from olivelike.engine.data_option import DataOption
from olivelike.errors import InputError, MeasureError
from olivelike.testing import models
from olivelike.testing.building import float_value, model_of, node_of

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
    with pytest.raises(InputError, match=r"OL105 --value: 'p200'"):
        bench([good], Options(values=("p200",)))
    with pytest.raises(InputError, match=r"OL210 --provider"):
        bench([good], Options(providers=("cuda",)))
    with pytest.raises(InputError, match=r"OL206 --dim"):
        bench([good], Options(dims={"nothing": 3}))


def test_of_several_models_the_one_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    good = models.save(models.mlp(), tmp_path / "good")
    odd = models.mlp()
    odd.graph.node[0].op_type, odd.graph.node[0].domain = "Frobnicate", "nowhere"
    odd.opset_import.add(domain="nowhere", version=1)
    (tmp_path / "odd").mkdir()
    onnx.save(odd, tmp_path / "odd/odd.onnx")
    with pytest.raises(MeasureError, match=rf"OL504: {tmp_path}/odd/odd.onnx: odd.onnx cannot be loaded") as caught:
        bench([good, good, tmp_path / "odd/odd.onnx"], BRIEF)
    assert "nowhere:Frobnicate" in str(caught.value)


def test_a_value_that_cannot_be_given_is_no_comparison_by_another() -> None:
    p50 = Measurement(1.0, "ms", "lower", 0.9, 1.1, 16, Paired("ratio", Interval(0.5, 0.4, 0.6)))
    timed = Timed("m.onnx", "0" * 64, {"p50": p50}, {"p99": "16 runs are too few for p99"}, "p99")
    assert timed.verdict is Verdict.NOISY
    assert timed.compared() == {
        "verdict": "too noisy",
        "of": "p99",
        "ratio": None,
        "reason": "p99: 16 runs are too few for p99",
    }
    assert Timed("m.onnx", "0" * 64, {"p50": p50}, {}, "p50").compared() == {
        "verdict": "faster",
        "of": "p50",
        "ratio": {"value": 0.5, "low": 0.4, "high": 0.6},
    }
    lines = list(bench_lines(Bench(timed, (timed,), {})))
    assert lines[-1] == "  too noisy: p99: 16 runs are too few for p99"


@pytest.mark.parametrize(
    ("columns", "code"),
    [({"x": np.full((8, 16), np.nan, "float32")}, "OL208"), ({"x": np.zeros((8, 3), "float32")}, "OL206"), ({}, "OL2")],
)
def test_data_that_are_wrong_or_missing_are_named_by_their_option(
    tmp_path: Path, columns: dict[str, np.ndarray], code: str
) -> None:
    good = models.save(models.mlp(), tmp_path)
    if columns:
        np.savez(tmp_path / "x.npz", **columns)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=rf"{code}.* --data"):
        bench([good, good], replace(BRIEF, data=DataOption(str(tmp_path / "x.npz"))))


def test_models_that_take_other_inputs_are_refused_with_the_differences(tmp_path: Path) -> None:
    def taking(name: str, kind: int, *sizes: int | str) -> Path:
        ends = [onnx.helper.make_tensor_value_info(each, kind, sizes) for each in (name, "y")]
        graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", [name], ["y"])], "g", ends[:1], ends[1:])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
        return models.save(model, tmp_path / f"{name}-{kind}-{len(sizes)}")

    first = taking("x", 1, "n", 2)
    others = [taking("z", 1, "n", 2), taking("x", 7, "n", 2), taking("x", 1, "n", 2, 2)]
    with pytest.raises(InputError) as caught:
        bench([first, *others, first], BRIEF)
    claims = [
        (problem.code, problem.claim.partition(": ")[2], problem.hint.split()[-1]) for problem in caught.value.problems
    ]
    assert claims == [
        ("OL115", f"only {first} has x float32 [n, 2]; only {others[0]} has z float32 [n, 2]", "rename_io"),
        ("OL115", f"x float32 [n, 2] is int64 [n, 2] in {others[1]}", "one"),
        ("OL115", f"x float32 [n, 2] is float32 [n, 2, 2] in {others[2]}", "one"),
    ]


def test_a_batch_that_the_model_is_not_made_for_is_refused_with_the_one_it_is(tmp_path: Path) -> None:
    ends = [float_value("x", 5, 2)], [float_value("y", 5, 2)]
    model = models.save(model_of([node_of("Relu", ["x"], ["y"])], *ends, []), tmp_path)
    with pytest.raises(
        InputError, match=r"OL206 .*--batch: the model takes 5 samples in a run, and not 4. hint: say 5"
    ):
        bench([model], BRIEF)
