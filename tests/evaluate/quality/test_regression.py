from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import ScriptCall
from olivelike.contracts.outcome import Measurement, Paired, Undefined, Value
from olivelike.errors import InputError, MeasureError
from olivelike.evaluate.quality.regression import Regression, RegressionConfig
from olivelike.testing.measure_context import MemoryContext
from olivelike.testing.metric_contract import MetricContract
from tests.evaluate.tiny_models import classifier

ALL = ("pearson", "spearman", "r2", "mse", "rmse", "mae")
PASS = np.array([[1.0], [0.0]])
DOUBT = np.array([[1.0], [0.5]])

generator = np.random.default_rng(3)
LABELS = generator.normal(5, 2, 50)
INPUTS = np.stack([LABELS + generator.normal(0, 1, 50), generator.normal(0, 1, 50)], axis=1).astype(np.float32)


class TestRegression(MetricContract):
    metric = Regression

    def artifact(self, folder: Path) -> Artifact:
        return classifier(folder, PASS)

    def context(self, folder: Path) -> MemoryContext:
        return context(folder)

    def configs(self) -> Sequence[RegressionConfig]:
        return (RegressionConfig(), RegressionConfig(values=ALL, batch=7))


def context(
    folder: Path,
    inputs: object = INPUTS,
    labels: object = LABELS,
    functions: Mapping[str, Callable[..., object]] | None = None,
) -> MemoryContext:
    return MemoryContext(folder, {"image": np.asarray(inputs)}, np.asarray(labels), functions=functions or {})


def measure(given: MemoryContext, weights: object = PASS, base: object = PASS, **config: Any) -> Mapping[str, Value]:
    candidate = classifier(given.scratch / "candidate", np.asarray(weights))
    reference = classifier(given.scratch / "reference", np.asarray(base))
    return Regression().measure(candidate, reference, RegressionConfig(**config), given)


def defined(value: Value) -> Measurement:
    assert isinstance(value, Measurement), value
    return value


def test_values_are_those_of_scipy_and_scikit_learn(tmp_path: Path) -> None:
    got = measure(context(tmp_path), values=ALL)
    answers = INPUTS[:, 0].astype(np.float64)
    known = {
        "pearson": stats.pearsonr(answers, LABELS).statistic,
        "spearman": stats.spearmanr(answers, LABELS).statistic,
        "r2": sk.r2_score(LABELS, answers),
        "mse": sk.mean_squared_error(LABELS, answers),
        "rmse": sk.root_mean_squared_error(LABELS, answers),
        "mae": sk.mean_absolute_error(LABELS, answers),
    }
    for name, value in known.items():
        measured = defined(got[name])
        assert measured.value == pytest.approx(value, rel=1e-10), name
        assert measured.low < measured.value < measured.high


@settings(deadline=None, max_examples=15)
@given(pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=10, max_size=25))
def test_equal_numbers_share_their_middle_rank(
    pairs: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    answers, labels = (np.array(column) for column in zip(*pairs, strict=True))
    inputs = np.stack([answers, answers], axis=1)
    got = measure(context(tmp_path_factory.mktemp("data"), inputs, labels), values=("spearman",))["spearman"]
    if isinstance(got, Measurement):
        assert got.value == pytest.approx(stats.spearmanr(answers, labels).statistic, abs=1e-10)
    else:
        assert min(len(set(answers.tolist())), len(set(labels.tolist()))) == 1 or "too few" in got.reason


def test_a_large_mean_costs_no_digits(tmp_path: Path) -> None:
    shifted, plain = (
        defined(measure(context(tmp_path, labels=LABELS + shift), values=("pearson",))["pearson"])
        for shift in (1e7, 0.0)
    )
    assert shifted.value == pytest.approx(plain.value, rel=1e-7), "labels of 1e7 + x hold x to nine digits"


def test_difference_is_paired(tmp_path: Path) -> None:
    for name, value in measure(context(tmp_path), DOUBT, PASS, values=ALL).items():
        versus = defined(value).versus
        assert isinstance(versus, Paired)
        base = defined(measure(context(tmp_path), PASS, PASS, values=ALL)[name])
        assert versus.interval.value == pytest.approx(defined(value).value - base.value)
        assert versus.interval.low < versus.interval.value < versus.interval.high


def test_constant_labels_leave_what_needs_them_to_vary_undefined(tmp_path: Path) -> None:
    got = measure(context(tmp_path, labels=np.full(50, 0.1)), values=ALL)
    for name in ("pearson", "spearman", "r2"):
        assert got[name] == Undefined(f"all 50 labels are 0.1, and {name} needs labels that vary")
    assert isinstance(got["mae"], Measurement)


def test_constant_answers_have_an_error_but_no_correlation(tmp_path: Path) -> None:
    got = measure(context(tmp_path), [[0.0], [0.0]], PASS, values=ALL)
    assert got["pearson"] == Undefined("the model answers 0 to all 50 samples, and pearson needs answers that vary")
    assert defined(got["r2"]).value < 0
    swapped = measure(context(tmp_path), PASS, [[0.0], [0.0]], values=("pearson",))["pearson"]
    assert isinstance(swapped, Undefined)
    assert "the baseline answers 0" in swapped.reason


@pytest.mark.parametrize("samples", [1, 2, 9])
def test_too_few_samples_give_a_reason_and_no_number(tmp_path: Path, samples: int) -> None:
    got = measure(context(tmp_path, INPUTS[:samples], LABELS[:samples]), values=("mse", "pearson"))
    assert got["mse"] == Undefined(
        f"{samples} samples are too few for an interval: at least 10 are needed, some hundreds are better"
    )
    assert isinstance(got["pearson"], Undefined)


def test_labels_of_no_use_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="OL208: labels are missing"):
        measure(context(tmp_path, labels=np.where(LABELS > 5, np.nan, LABELS)))
    with pytest.raises(InputError, match=r"OL207: the labels are of type <U1 and shape \[50\]"):
        measure(context(tmp_path, labels=["a"] * 50))
    with pytest.raises(InputError, match="OL207: the data have no labels"):
        measure(context(tmp_path, labels=[]))


@pytest.mark.parametrize(
    ("returned", "error", "says"),
    [
        (None, InputError, "OL209: what f returned is of type object"),
        ("high", InputError, "OL209: what f returned is of type <U4"),
        (1.0, InputError, r"OL209: what f returned is of type float64 and shape \[\]"),
        (np.ones(3), InputError, r"OL209: .* shape \[3\]: 50 samples need numbers \[50\]"),
        (np.full(50, np.nan), MeasureError, "OL504: what f returned is not finite in 50 of 50 values"),
    ],
)
def test_what_a_user_function_returns_of_no_use_is_named(
    tmp_path: Path, returned: object, error: type[Exception], says: str
) -> None:
    given = context(tmp_path, functions={"f": lambda outputs, labels: returned})
    with pytest.raises(error, match=says):
        measure(given, postprocess=ScriptCall(script="user.py", call="f"))


def test_postprocess_makes_the_number(tmp_path: Path) -> None:
    given = context(tmp_path, functions={"f": lambda outputs, labels: 2 * outputs["logits"][:, 0]})
    config = {"values": ("mae",), "postprocess": ScriptCall(script="user.py", call="f")}
    known = sk.mean_absolute_error(LABELS, 2 * INPUTS[:, 0].astype(np.float64))
    assert defined(measure(given, **config)["mae"]).value == pytest.approx(known, rel=1e-6), "float32"


def test_pearsons_interval_holds_the_truth_as_often_as_it_says(tmp_path: Path) -> None:
    """Two normal variables with the correlation 0.6 by construction; candidate and baseline have the same truth.

    95 % of 200 replicates are 190, with a standard error of 3; four of them below is a bug, not chance.
    """
    candidate, reference = (classifier(tmp_path / str(k), np.eye(2)[:, k : k + 1]) for k in range(2))
    held, even = 0, 0
    for seed in range(200):
        drawn = np.random.default_rng(seed).normal(size=(100, 3))
        labels = drawn[:, 0]
        inputs = 0.6 * labels[:, None] + 0.8 * drawn[:, 1:]
        given = MemoryContext(tmp_path, {"image": inputs}, labels, seed=seed)
        config = RegressionConfig(values=("pearson",), batch=100)
        measured = defined(Regression().measure(candidate, reference, config, given)["pearson"])
        assert isinstance(measured.versus, Paired)
        held += measured.low <= 0.6 <= measured.high
        even += measured.versus.interval.low <= 0 <= measured.versus.interval.high
    assert held >= 178, held
    assert even >= 178, even
