"""The user's `prepare`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from olivelike.sources.preparation import as_read, prepared
from tests.sources.refusals import refusal

BATCH = {"text": np.array(["a", "b"]), "label": np.array([0, 1])}


def test_without_one_the_columns_are_as_read() -> None:
    assert prepared(as_read, BATCH, "label", "data.test") == BATCH


def test_what_it_returns_is_what_there_is_and_labels_stay() -> None:
    made = prepared(lambda columns: {"ids": [[1], [2]]}, BATCH, "label", "data.test")
    assert {name: array.tolist() for name, array in made.items()} == {"ids": [[1], [2]], "label": [0, 1]}


def test_it_may_return_labels_of_its_own() -> None:
    made = prepared(lambda columns: {"ids": [1, 2], "label": [5, 6]}, BATCH, "label", "data.test")
    assert made["label"].tolist() == [5, 6]


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda columns: None, "returned a NoneType"),
        (lambda columns: {"ids": [1]}, "returned 'ids' of shape (1,) for 2 samples"),
        (lambda columns: {"ids": 1}, "returned 'ids' of shape () for 2 samples"),
        (lambda columns: {"ids": [["a"], ["b", "c"]]}, "make no array"),
    ],
)
def test_anything_else_is_refused(prepare: Callable[..., object], says: str) -> None:
    problem = refusal(lambda: prepared(prepare, BATCH, "label", "data.test"))
    assert (problem.code, problem.path) == ("OL209", "data.test.prepare")
    assert says in problem.claim
