import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from olivelike.errors import InputError
from olivelike.evaluate.quality.predictions import class_labels, rightly_classified

SCORES = np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3], [0.2, 0.3, 0.5]], np.float32)


def labels(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


@pytest.mark.parametrize(("top_k", "right"), [(1, [True, False, False]), (2, [True, True, False]), (3, [True] * 3)])
def test_a_sample_is_right_when_its_class_is_among_the_best(top_k: int, right: list[bool]) -> None:
    assert rightly_classified(SCORES, labels(1, 2, 0), top_k, "it").tolist() == right


@given(st.lists(st.lists(st.integers(0, 2), min_size=4, max_size=4), min_size=1, max_size=9))
def test_top_1_is_argmax_also_among_equal_scores(rows: list[list[int]]) -> None:
    scores = np.array(rows, np.float32)
    best = scores.argmax(axis=1).astype(np.int64)
    assert rightly_classified(scores, best, 1, "it").all()
    assert not rightly_classified(scores, (best + 1) % 4, 1, "it").any()


def test_class_ids_and_verdicts_are_taken_as_they_are() -> None:
    assert rightly_classified(np.array([1, 2], np.int32), labels(1, 0), 1, "it").tolist() == [True, False]
    assert rightly_classified(np.array([True, False]), labels(7, 8), 1, "it").tolist() == [True, False]


@pytest.mark.parametrize(
    ("answer", "top_k"),
    [
        (np.ones((2, 3), np.float32), 1),
        (np.ones((3,), np.float32), 1),
        (np.ones((3, 3, 1), np.float32), 1),
        (np.ones((3, 3), np.int64), 1),
        (np.ones((3,), np.int64), 5),
        (np.array(["a", "b", "c"]), 1),
    ],
)
def test_an_answer_of_another_shape_or_type_is_refused(
    answer: np.ndarray[tuple[int, ...], np.dtype[np.generic]], top_k: int
) -> None:
    with pytest.raises(InputError, match=r"OL209: the output 'logits' is of type .*hint: name another `output`"):
        rightly_classified(answer, labels(0, 1, 2), top_k, "the output 'logits'")


@pytest.mark.parametrize("wrong", [-1, 3])
def test_a_label_outside_the_models_classes_is_refused(wrong: int) -> None:
    with pytest.raises(InputError, match=rf"OL207: the label {wrong} is none of the model's 3 classes \(0 to 2\)"):
        rightly_classified(SCORES, labels(0, wrong, 1), 1, "it")


def test_whole_numbers_in_floating_point_are_labels() -> None:
    assert class_labels(np.array([0.0, 2.0]), 2).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ([0, 1, 2], "OL207.*shape \\[3\\] where 2 samples need \\[2\\]"),
        ([[0], [1]], "OL207"),
        ([0.5, 1.0], "OL207.*0\\.5 is no class id"),
        ([float("nan"), 1.0], "OL208"),
        (["cat", "dog"], "OL207"),
    ],
)
def test_labels_that_are_no_class_ids_are_refused(wrong: list[object], code: str) -> None:
    with pytest.raises(InputError, match=code):
        class_labels(np.array(wrong), 2)
