from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import ScriptCall
from olivelike.contracts.outcome import Measurement, Paired, Undefined, Unpaired, Value
from olivelike.errors import InputError, MeasureError
from olivelike.evaluate.quality.accuracy import Accuracy, AccuracyConfig
from olivelike.evaluate.quality.classification import Classification, ClassificationConfig
from olivelike.testing.measure_context import MemoryContext
from olivelike.testing.metric_contract import MetricContract
from tests.evaluate.tiny_models import IDENTITY, classifier

if TYPE_CHECKING:
    pass

ALL = ("f1", "precision", "recall", "auroc", "balanced_accuracy", "matthews", "accuracy")
BLUR = np.array([[1, 0.4, 0], [0, 1, 0.4], [0.4, 0, 1]])


def noisy(samples: int, classes: int = 3, seed: int = 0, noise: float = 0.7) -> tuple[Any, Any]:
    """Returns scores that the identity model hands through, and labels: class 0 is the most frequent."""
    generator = np.random.default_rng(seed)
    share = np.arange(classes, 0, -1) / np.arange(classes, 0, -1).sum()
    labels = generator.choice(classes, samples, p=share)
    return np.eye(classes)[labels] + noise * generator.normal(size=(samples, classes)), labels


SCORES, LABELS = noisy(60)


class TestClassification(MetricContract):
    metric = Classification

    def artifact(self, folder: Path) -> Artifact:
        return classifier(folder)

    def context(self, folder: Path) -> MemoryContext:
        return context(folder)

    def configs(self) -> Sequence[ClassificationConfig]:
        return (
            ClassificationConfig(),
            ClassificationConfig(values=ALL, average="weighted", batch=7),
            ClassificationConfig(values=("recall", "f1"), average="micro"),
        )


def context(
    folder: Path,
    scores: object = SCORES,
    labels: object = LABELS,
    functions: Mapping[str, Callable[..., object]] | None = None,
) -> MemoryContext:
    return MemoryContext(folder, {"image": np.asarray(scores)}, np.asarray(labels), functions=functions or {})


def measure(given: MemoryContext, weights: object = IDENTITY, **config: Any) -> Mapping[str, Value]:
    model = classifier(given.scratch / "candidate", np.asarray(weights))
    return Classification().measure(model, model, ClassificationConfig(**config), given)


def against(given: MemoryContext, weights: object, base: object = IDENTITY, **config: Any) -> Mapping[str, Value]:
    candidate = classifier(given.scratch / "candidate", np.asarray(weights))
    reference = classifier(given.scratch / "reference", np.asarray(base))
    return Classification().measure(candidate, reference, ClassificationConfig(**config), given)


def defined(value: Value) -> Measurement:
    assert isinstance(value, Measurement), value
    return value


def difference(value: Value) -> tuple[float, float, float]:
    versus = defined(value).versus
    assert isinstance(versus, Paired)
    return versus.interval.low, versus.interval.value, versus.interval.high


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_values_are_those_of_scikit_learn(tmp_path: Path, average: str) -> None:
    got = measure(context(tmp_path), values=ALL, average=average)
    scores = SCORES.astype(np.float32).astype(np.float64)
    predicted = scores.argmax(axis=1)
    softmax = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    known = {
        "f1": sk.f1_score(LABELS, predicted, average=average),
        "precision": sk.precision_score(LABELS, predicted, average=average),
        "recall": sk.recall_score(LABELS, predicted, average=average),
        "balanced_accuracy": sk.balanced_accuracy_score(LABELS, predicted),
        "matthews": sk.matthews_corrcoef(LABELS, predicted),
        "accuracy": sk.accuracy_score(LABELS, predicted),
        "auroc": sk.roc_auc_score(
            LABELS, softmax, multi_class="ovr", average="macro" if average == "micro" else average
        ),
    }
    for name, value in known.items():
        measured = defined(got[name])
        assert measured.value == pytest.approx(value, abs=1e-12), name
        assert measured.low < measured.value < measured.high
        assert (measured.n, measured.versus) == (60, Unpaired())


@settings(deadline=None, max_examples=15)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=10, max_size=30).filter(
        lambda pairs: len({label for label, _ in pairs}) == 2
    )
)
def test_two_classes_agree_with_scikit_learn_also_where_scores_are_equal(
    pairs: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    labels, score = (np.array(column) for column in zip(*pairs, strict=True))
    given = context(tmp_path_factory.mktemp("data"), score[:, None], labels)
    got = measure(given, [[1.0]], values=("f1", "precision", "auroc"), average="binary", threshold=2.5)
    predicted = score > 2.5
    known = [sk.f1_score(labels, predicted), sk.precision_score(labels, predicted, zero_division=0)]
    known.append(sk.roc_auc_score(labels, score))
    for value, right in zip(got.values(), known, strict=True):
        found = value.value if isinstance(value, Measurement) else right  # a rare class may leave it undefined
        assert found == pytest.approx(right, abs=1e-12)


def test_accuracy_carries_the_intervals_of_the_metric_accuracy(tmp_path: Path) -> None:
    given = context(tmp_path)
    got = against(given, BLUR, values=("accuracy",))["accuracy"]
    candidate, reference = (classifier(tmp_path / name, weights) for name, weights in (("c", BLUR), ("r", IDENTITY)))
    (known,) = Accuracy().measure(candidate, reference, AccuracyConfig(), given).values()
    assert got == known


def test_difference_is_paired_and_narrower_than_the_interval_itself(tmp_path: Path) -> None:
    scores, labels = noisy(400)
    for value in against(context(tmp_path, scores, labels), BLUR, values=ALL).values():
        low, middle, high = difference(value)
        assert low <= middle <= high
        assert middle < 0, "a blurred model is worse"
        assert high - low < defined(value).high - defined(value).low


def test_an_interval_never_shrinks_to_a_point(tmp_path: Path) -> None:
    """All 40 right and no disagreement: what 40 samples could have missed is some 3 of 40 (the rule of three)."""
    labels = np.arange(40) % 2
    got = against(context(tmp_path, np.eye(2)[labels], labels), 2 * np.eye(2), np.eye(2), values=ALL)
    for value in got.values():
        low, middle, high = difference(value)
        assert defined(value).value == 1
        assert defined(value).low < 0.98
        assert middle == 0
        assert low < -0.02 < 0.02 < high


def test_constant_labels_leave_what_compares_classes_undefined(tmp_path: Path) -> None:
    got = measure(context(tmp_path, SCORES, np.zeros(60)), values=("auroc", "f1", "matthews", "accuracy"))
    assert got["auroc"] == Undefined("all 60 labels are 0, and auroc needs two classes")
    assert got["matthews"] == Undefined("all 60 labels are 0, and matthews needs two classes")
    assert isinstance(got["f1"], Undefined)
    assert isinstance(got["accuracy"], Measurement)


def test_a_class_that_never_occurs_is_named_and_may_be_left_out(tmp_path: Path) -> None:
    labels = np.where(LABELS == 2, 1, LABELS)
    got = measure(context(tmp_path, SCORES, labels), values=ALL)
    hint = "name the classes that count with `classes`"
    reason = f"class 2 never occurs among the labels, so recall is undefined for it; {hint}"
    assert got["recall"] == Undefined(reason)
    assert isinstance(got["balanced_accuracy"], Undefined)
    assert isinstance(got["auroc"], Undefined)
    left = measure(context(tmp_path, SCORES, labels), values=ALL, classes=(0, 1))
    predicted = SCORES.astype(np.float32).argmax(axis=1)
    known = sk.f1_score(labels, predicted, labels=[0, 1], average="macro")
    assert defined(left["f1"]).value == pytest.approx(known, abs=1e-12)
    assert all(isinstance(value, Measurement) for value in left.values())


def test_a_candidate_that_predicts_one_class_only_is_measured_and_loses(tmp_path: Path) -> None:
    """What is 0/0 (precision of a class never predicted) counts as 0, as in scikit-learn, so that a constraint can break."""
    given = context(tmp_path, np.abs(SCORES))
    collapsed = np.array([[1.0, 0, 0]] * 3)
    got = against(given, collapsed, values=("precision", "f1", "matthews", "auroc"))
    predicted = np.zeros(60, int)
    known = sk.precision_score(LABELS, predicted, average="macro", zero_division=0)
    assert defined(got["precision"]).value == pytest.approx(known, abs=1e-12)
    assert defined(got["matthews"]).value == 0
    assert difference(got["f1"])[2] < 0


@pytest.mark.parametrize("samples", [1, 2, 9])
def test_too_few_samples_give_a_reason_and_no_number(tmp_path: Path, samples: int) -> None:
    labels = np.arange(samples) % 2
    got = measure(context(tmp_path, np.eye(2)[labels], labels), np.eye(2), values=("f1", "auroc"))
    assert all(isinstance(value, Undefined) for value in got.values())
    if samples > 1:
        claim = f"{samples} samples are too few for an interval: at least 10 are needed, some hundreds are better"
        assert got["f1"] == Undefined(claim)


def test_a_class_of_a_single_sample_is_too_rare_to_bootstrap_auroc(tmp_path: Path) -> None:
    labels = np.zeros(60, int)
    labels[0] = 1
    got = measure(context(tmp_path, SCORES[:, :2], labels), np.eye(2), values=("auroc",))["auroc"]
    assert isinstance(got, Undefined)
    assert "60 samples are too few" in got.reason


def test_scores_of_the_baseline_decide_what_scores_are(tmp_path: Path) -> None:
    """Softmax of probabilities ranks three classes otherwise than the probabilities do."""
    powers = np.exp(3 * SCORES)
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    given = context(tmp_path, probabilities)
    auto, told, wrong = (
        defined(measure(given, values=("auroc",), scores=scores)["auroc"]).value
        for scores in ("auto", "probabilities", "logits")
    )
    known = sk.roc_auc_score(LABELS, probabilities, multi_class="ovr")
    assert auto == told == pytest.approx(known, abs=1e-3), "float32 may turn a pair of nearly equal scores around"
    assert wrong != auto


def test_binary_over_more_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="OL207 average: `average: binary`, but the labels are of 3 classes"):
        measure(context(tmp_path), average="binary")


def test_a_class_that_the_model_does_not_score_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"OL206 classes: 3 is none of the model's classes \(0 to 2\)"):
        measure(context(tmp_path), classes=(0, 3))


def test_class_ids_are_taken_but_cannot_be_ranked(tmp_path: Path) -> None:
    call = ScriptCall(script="user.py", call="ids")
    given = context(tmp_path, functions={"ids": lambda outputs, labels: outputs["logits"].argmax(axis=1)})
    assert measure(given, postprocess=call)["f1"] == measure(given)["f1"]
    with pytest.raises(InputError, match="OL209: what ids returned holds class ids, and auroc ranks samples by score"):
        measure(given, values=("auroc",), postprocess=call)


def returns(value: Callable[[int], object]) -> Callable[..., object]:
    return lambda outputs, labels: value(len(labels))


@pytest.mark.parametrize(
    ("returned", "error", "says"),
    [
        (lambda n: None, InputError, "OL209: what f returned is of type object"),
        (lambda n: ["a"] * n, InputError, "OL209: what f returned is of type <U1"),
        (lambda n: np.ones(n + 1), InputError, "OL209: what f returned is of type float64 and shape"),
        (lambda n: [[1.0], [1.0, 2.0]], InputError, "OL209: what f returned is no array"),
        (lambda n: np.full((n, 3), np.nan), MeasureError, r"OL504: what f returned is not finite in 180 of 180 values"),
    ],
)
def test_what_a_user_function_returns_of_no_use_is_named(
    tmp_path: Path, returned: Callable[[int], object], error: type[Exception], says: str
) -> None:
    given = context(tmp_path, functions={"f": returns(returned)})
    with pytest.raises(error, match=says):
        measure(given, postprocess=ScriptCall(script="user.py", call="f"))


def test_outputs_that_are_all_nan_are_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(MeasureError, match=r"OL504: the output 'logits' is not finite in 180 of 180 values"):
        measure(context(tmp_path), np.full((3, 3), np.nan))


def test_data_without_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="OL207: the data have no labels"):
        measure(context(tmp_path, labels=[]))


def coverage(tmp_path: Path, name: str, truth: float, replicates: int, samples: int) -> tuple[float, float]:
    """Returns how often the interval of the value, and of the difference, holds the truth.

    The candidate's scores are the baseline's with a column's noise exchanged, so that both have the same truth.
    """
    first = classifier(tmp_path / "first", [[1, 0], [0, 1], [0, 0]])
    second = classifier(tmp_path / "second", [[1, 0], [0, 0], [0, 1]])
    held, even = 0, 0
    for seed in range(replicates):
        generator = np.random.default_rng(seed)
        labels = (generator.random(samples) < 0.3).astype(int)
        noise = 0.6 * generator.normal(size=(samples, 2)) + 0.8 * generator.normal(size=(samples, 1))
        columns = np.concatenate([np.full((samples, 1), 0.8), 1.6 * labels[:, None] + noise], axis=1)
        given = MemoryContext(tmp_path, {"image": columns}, labels, seed=seed)
        config = ClassificationConfig(values=(name,), average="binary", batch=samples)
        measured = defined(Classification().measure(second, first, config, given)[name])
        held += measured.low <= truth <= measured.high
        low, _, high = difference(measured)
        even += low <= 0 <= high
    return held / replicates, even / replicates


@pytest.mark.parametrize("name", ["f1", "auroc"])
def test_intervals_hold_the_truth_as_often_as_they_say(tmp_path: Path, name: str) -> None:
    """Scores are normal with standard deviation 1 around 1.6 and 0, so both truths are integrals of the normal distribution.

    95 % of 200 replicates are 190, with a standard error of 3; four of them below is a bug, not chance.
    """
    from statistics import NormalDist

    normal = NormalDist()
    hit, alarm = 0.3 * (1 - normal.cdf(0.8 - 1.6)), 0.7 * (1 - normal.cdf(0.8))
    truth = {"f1": 2 * hit / (0.3 + hit + alarm), "auroc": normal.cdf(1.6 / 2**0.5)}[name]
    held, even = coverage(tmp_path, name, truth, replicates=200, samples=150)
    assert held >= 178 / 200, held
    assert even >= 178 / 200, even
