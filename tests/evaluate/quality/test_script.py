from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydantic import ValidationError

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import ScriptCall
from olivelike.contracts.metric import Prospect
from olivelike.contracts.outcome import Measurement, Paired, Undefined, Unpaired, Value
from olivelike.errors import InputError, MeasureError
from olivelike.evaluate.quality.script import ScriptMetric, ScriptMetricConfig
from olivelike.evaluate.statistics.corpus_values import missed_share
from olivelike.evaluate.statistics.intervals import matched_difference_interval, proportion_interval
from olivelike.sources.calling import load_call
from olivelike.testing.measure_context import MemoryContext
from olivelike.testing.metric_contract import MetricContract
from tests.evaluate.tiny_models import classifier

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

# Sixteen one-hot images of three classes, eight twice; the labels are words, of which the identity reads six in eight rightly.
WORDS = np.array(["ant", "bee", "cat"])
CLASSES = np.array([0, 1, 2, 0, 1, 2, 0, 1] * 2)
LABELS = WORDS[[0, 1, 2, 0, 1, 2, 1, 2] * 2]
IMAGES = np.eye(3)[CLASSES]
CONFUSED = np.eye(3)[[0, 2, 1]]  # takes class 1 for 2 and the other way round

Function = Callable[..., object]


def right(outputs: Mapping[str, Array], labels: Array) -> object:
    return WORDS[outputs["logits"].argmax(axis=1)] == labels


def half_marks(outputs: Mapping[str, Array], labels: Array) -> object:
    return np.where(right(outputs, labels), 1.0, 0.5)


def letters(outputs: Mapping[str, Array], labels: Array) -> object:
    """Returns errors and letters of each word: lengths differ, so that the ratio is no mean."""
    lengths = np.array([len(label) + index for index, label in enumerate(labels)])
    return {"share": right(outputs, labels), "errors": (~np.asarray(right(outputs, labels)), lengths)}


FUNCTIONS: dict[str, Function] = {"right": right, "half_marks": half_marks, "letters": letters}
BOTH = {"values": ("share", "errors"), "better": {"share": "higher", "errors": "lower"}}


def config(call: str = "right", **options: object) -> ScriptMetricConfig:
    return ScriptMetricConfig.model_validate({"score": {"script": "user.py", "call": call}, **options})


def context(folder: Path, *functions: Function, labels: object = LABELS, images: Array = IMAGES) -> MemoryContext:
    known = FUNCTIONS | {function.__name__: function for function in functions}
    return MemoryContext(folder, {"image": images}, np.asarray(labels), functions=known)


def measure(
    folder: Path, given: MemoryContext, asked: ScriptMetricConfig, weights: Array | None = None
) -> Mapping[str, Value]:
    reference = classifier(folder / "identity")
    candidate = reference if weights is None else classifier(folder / "candidate", weights)
    return ScriptMetric().measure(candidate, reference, asked, given)


def found(value: Value) -> Measurement:
    assert isinstance(value, Measurement)
    return value


class TestScript(MetricContract):
    metric = ScriptMetric

    def artifact(self, folder: Path) -> Artifact:
        return classifier(folder)

    def context(self, folder: Path) -> MemoryContext:
        return context(folder)

    def configs(self) -> Sequence[ScriptMetricConfig]:
        return config(), config("letters", batch=3, **BOTH), config("half_marks", range="unbounded")


def test_verdicts_of_samples_get_the_intervals_of_accuracy(tmp_path: Path) -> None:
    measured = found(measure(tmp_path, context(tmp_path), config(), CONFUSED)["score"])
    known = proportion_interval(6, 16)
    assert (measured.value, measured.low, measured.high, measured.n) == (known.value, known.low, known.high, 16)
    # The words are not the class ids of test_accuracy, but right and wrong are: of eight 1 is gained, 4 are lost.
    assert measured.versus == Paired("difference", matched_difference_interval(2, 8, 16))


def test_labels_come_as_the_data_give_them(tmp_path: Path) -> None:
    def strings(outputs: Mapping[str, Array], labels: Array) -> object:
        assert set(outputs) == {"logits"}
        assert all(isinstance(label, str) for label in labels)
        return np.ones(len(labels))

    assert found(measure(tmp_path, context(tmp_path, strings), config("strings"))["score"]).value == 1


def test_data_without_labels_can_be_scored(tmp_path: Path) -> None:
    def peak(outputs: Mapping[str, Array], labels: Array) -> object:
        assert labels.size == 0
        return outputs["logits"].max(axis=1)

    assert found(measure(tmp_path, context(tmp_path, peak, labels=[]), config("peak"))["score"]).value == 1


def test_a_ratio_divides_the_sums_over_all_samples(tmp_path: Path) -> None:
    measured = measure(tmp_path, context(tmp_path), config("letters", batch=8, **BOTH))
    errors = found(measured["errors"])
    assert errors.value == pytest.approx(2 / (8 * 3 + sum(range(8))), rel=1e-12), "two errors in 52 letters, twice"
    assert errors.better == "lower"
    assert errors.low < errors.value < errors.high
    assert errors.versus == Unpaired()
    assert found(measured["share"]).value == 12 / 16


def test_a_ratio_is_compared_with_the_baseline_on_the_same_resamples(tmp_path: Path) -> None:
    errors = found(measure(tmp_path, context(tmp_path), config("letters", batch=8, **BOTH), CONFUSED)["errors"])
    assert isinstance(errors.versus, Paired)
    assert errors.versus.interval.value == pytest.approx(3 / 52, rel=1e-12), "of eight, five errors against two"


def test_scores_that_are_better_when_lower_keep_their_range(tmp_path: Path) -> None:
    asked = config("half_marks", better="lower", range=[-1, 2])
    measured = found(measure(tmp_path, context(tmp_path), asked, CONFUSED)["score"])
    assert measured.value == pytest.approx((6 + 10 * 0.5) / 16)
    assert -1 <= measured.low < measured.value < measured.high <= 2
    assert measured.better == "lower"


def test_scores_without_a_range_are_resampled(tmp_path: Path) -> None:
    measured = found(measure(tmp_path, context(tmp_path), config("half_marks", range="unbounded"))["score"])
    assert measured.value == 7 / 8
    assert measured.low < 7 / 8 < measured.high <= 1, "a resampled mean of marks is never above the best mark"


def test_ratios_that_all_agree_allow_for_what_was_not_seen(tmp_path: Path) -> None:
    """Sixteen samples without an error: a fifth of others may have some, and the range says how many at worst."""
    given = context(tmp_path, returns(lambda n: (np.zeros(n), np.ones(n))))
    errors = found(measure(tmp_path, given, config("function", better="lower"), CONFUSED)["score"])
    assert (errors.low, errors.value) == (0, 0)
    assert errors.high == pytest.approx(missed_share(16), rel=0.1)
    assert isinstance(errors.versus, Paired)
    assert errors.versus.interval.high == -errors.versus.interval.low == pytest.approx(errors.high)


def test_scores_that_all_agree_and_have_no_range_give_no_value(tmp_path: Path) -> None:
    given = context(tmp_path, returns(lambda n: np.full(n, 3.0)))
    value = measure(tmp_path, given, config("function", range="unbounded"))["score"]
    assert isinstance(value, Undefined) and "all 16 samples agree, and nothing bounds" in value.reason


def test_a_candidate_that_is_out_is_left_at_that(tmp_path: Path) -> None:
    given = context(tmp_path, labels=np.tile(LABELS, 100), images=np.tile(IMAGES, (100, 1)))
    hopeless = MemoryContext(
        tmp_path, given.columns, given.labels, functions=FUNCTIONS, held_against=lambda values: Prospect.OUT
    )
    measured = measure(tmp_path, hopeless, config("letters", **BOTH), CONFUSED)
    assert all(found(value).n == 256 and not found(value).complete for value in measured.values())


def test_denominators_that_add_up_to_zero_leave_the_value_undefined(tmp_path: Path) -> None:
    def empty(outputs: Mapping[str, Array], labels: Array) -> object:
        return np.zeros(len(labels)), np.zeros(len(labels))

    assert measure(tmp_path, context(tmp_path, empty), config("empty"))["score"] == Undefined(
        "the denominators add up to zero"
    )


def test_a_model_that_gives_nan_is_not_scored(tmp_path: Path) -> None:
    broken = classifier(tmp_path, np.diag([1, np.inf, 1]))
    with pytest.raises(MeasureError, match="OL504: the output 'logits' is not finite"):
        ScriptMetric().measure(broken, broken, config(), context(tmp_path))


def returns(value: Callable[[int], object]) -> Function:
    def function(outputs: Mapping[str, Array], labels: Array) -> object:
        return value(len(labels))

    return function


@pytest.mark.parametrize(
    ("value", "claim"),
    [
        (lambda n: ["good"] * n, r"gives a list for 'score', not numbers"),
        (lambda n: [None] * n, r"gives a list for 'score', not numbers"),
        (lambda n: None, r"gives a NoneType for 'score', not numbers"),
        (lambda n: [[1], [1, 2]], r"gives for 'score' what makes no array"),
        (lambda n: np.full(n, np.nan), r"gives nan for 'score', of sample 0 in a batch"),
        (lambda n: [0.5] * (n - 1) + [np.inf], r"gives inf for 'score', of sample 15 in a batch"),
        (lambda n: np.ones(n + 1), r"gives an array \[17\] for 'score' where 16 samples need \[16\]"),
        (lambda n: np.ones((n, 2)), r"gives an array \[16, 2\] for 'score'"),
        (lambda n: 0.9, r"gives an array \[\] for 'score'"),
        (lambda n: np.full(n, 93.0), r"gives 93 for 'score', outside the range from 0 to 1"),
        (lambda n: (np.ones(n), np.ones(n - 1)), r"gives an array \[15\] for 'score'"),
        (lambda n: (np.ones(n), -np.ones(n)), r"gives a negative denominator for 'score': -1"),
        (
            lambda n: {"scores": np.ones(n)},
            r"gives 'scores', which `values` does not name\. hint: did you mean score\?",
        ),
        (lambda n: {}, r"gives no 'score', which `values` names"),
    ],
)
def test_what_is_of_no_use_is_refused_with_the_users_file(
    value: Callable[[int], object], claim: str, tmp_path: Path
) -> None:
    given = context(tmp_path, returns(value))
    with pytest.raises(InputError, match=rf"OL209 user\.py: function\(\) {claim}"):
        measure(tmp_path, given, config("function"))


def test_one_array_for_several_values_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"OL209 user\.py: right\(\) returns an array \[16\] of bool where 2 values"):
        measure(tmp_path, context(tmp_path), config("right", values=["a", "b"]))


def test_another_form_in_a_later_batch_is_refused(tmp_path: Path) -> None:
    def moody(outputs: Mapping[str, Array], labels: Array) -> object:
        ones = np.ones(len(labels))
        return ones if len(labels) == 5 else (ones, ones)

    with pytest.raises(InputError, match=r"OL209 user\.py: .*for one batch and score for the first"):
        measure(tmp_path, context(tmp_path, moody), config("moody", batch=5))


def test_two_numbers_for_two_samples_are_scores_not_a_ratio(tmp_path: Path) -> None:
    given = context(tmp_path, returns(lambda n: (0.0, 1.0)), labels=LABELS[:2], images=IMAGES[:2])
    assert found(measure(tmp_path, given, config("function"))["score"]).value == 0.5


def test_a_function_that_raises_is_refused_with_the_line_of_the_users_file(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(
        dedent("""\
            def score(outputs, labels, power):
                return labels ** power
            """)
    )
    call = load_call(tmp_path, "user.py", "score", {"power": 2})
    given = MemoryContext(tmp_path, {"image": IMAGES}, LABELS, functions={"score": call})
    with pytest.raises(InputError, match=r"OL209 \S+user\.py:2: score\(\) raises"):
        measure(tmp_path, given, config("score"))


@pytest.mark.parametrize(
    ("options", "claim"),
    [
        ({"range": [1, 1]}, "the range from 1 to 1 is empty or infinite"),
        ({"range": [0, float("inf")]}, "is empty or infinite"),
        ({"values": ["a", "a"]}, "values names a twice"),
        ({"better": {"other": "lower"}}, "better gives directions for other, not for score"),
        ({"values": []}, "at least 1 item"),
        ({"values": ["top 1"]}, "should match pattern"),
        ({"score": "user.py"}, "ScriptCall"),
    ],
)
def test_a_configuration_that_does_not_hold_together_is_refused(options: Mapping[str, object], claim: str) -> None:
    with pytest.raises(ValidationError, match=claim):
        config(**options)


def test_the_call_is_found_among_the_scripts_of_the_config() -> None:
    assert isinstance(config().score, ScriptCall), "the plan takes it into the store by this type"
