"""Whether a column fits a model's input, and its values cast to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from olivelike.contracts.metric import TensorInfo
from olivelike.onnxfile.read import UNKNOWN_RANK
from olivelike.sources.fit import check_fit, fitted
from olivelike.sources.mapping import Feed
from tests.sources.refusals import refusal

if TYPE_CHECKING:
    from olivelike.contracts.data import Array


def feed(dtype: str = "float32", shape: Sequence[int | str] = ("n", 3)) -> Feed:
    return Feed("pixels", TensorInfo("image", dtype, tuple(shape)))


def cast(values: Array, dtype: str, shape: Sequence[int | str] = ("n", 3)) -> Array:
    check_fit(feed(dtype, shape), values, "data.test")
    return fitted(feed(dtype, shape), values, np.arange(len(values)), "data.test")


def test_bytes_become_floats_plainly() -> None:
    values = cast(np.array([[0, 128, 255]], np.uint8), "float32")
    assert values.dtype == np.float32
    assert values.tolist() == [[0.0, 128.0, 255.0]]


@pytest.mark.parametrize(
    ("given_type", "wanted"),
    [
        ("float64", "float16"),
        ("int64", "int32"),
        ("int32", "int64"),
        ("bool", "int64"),
        ("float64", "int64"),
        ("uint8", "bool"),
    ],
)
def test_numbers_that_fit_are_cast(given_type: str, wanted: str) -> None:
    values = cast(np.array([[0, 1, 1]]).astype(given_type), wanted)
    assert values.dtype == np.dtype(wanted)
    assert values.tolist() == [[0, 1, 1]]


@pytest.mark.parametrize(
    ("values", "wanted", "says"),
    [
        (np.array([[1.0, 2.0, 0.5]]), "int64", "has 0.5 in sample 0"),
        (np.array([[0, 0, 2**40]]), "int32", "has 1099511627776 in sample 0"),
        (np.array([[0, 0, -1]]), "uint8", "has -1 in sample 0"),
        (np.array([[0, 0, 2]]), "bool", "has 2 in sample 0"),
        (np.array([[0, 0, 1e6]]), "float16", "has 1000000.0 in sample 0"),
    ],
)
def test_a_value_that_the_input_cannot_hold_is_refused(values: Array, wanted: str, says: str) -> None:
    problem = refusal(lambda: cast(values, wanted))
    assert problem.code == "OL206"
    assert says in problem.claim
    assert f"input 'image' takes {wanted}" in problem.claim


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_with_column_and_sample(bad: float) -> None:
    values = np.zeros((3, 3))
    values[1, 2] = bad
    rows = np.array([7, 5, 6])
    problem = refusal(lambda: fitted(feed(), values, rows, "data.test"))
    assert problem.code == "OL208"
    assert problem.claim == "the column 'pixels' has a missing or infinite value in sample 5"


def test_text_and_numbers_do_not_mix() -> None:
    assert "holds text" in refusal(lambda: cast(np.array([["a", "b", "c"]]), "float32")).claim
    assert "takes string" in refusal(lambda: cast(np.ones((1, 3)), "string")).claim


def test_text_reaches_a_string_input_as_python_strings() -> None:
    for values in (np.array(["a", "é"]), np.array(["a", "é"], dtype=object)):
        assert cast(values, "string", ("n",)).tolist() == ["a", "é"]
        assert cast(values, "string", ("n",)).dtype == object


def test_an_input_type_that_numpy_lacks_is_refused() -> None:
    assert "bfloat16" in refusal(lambda: cast(np.ones((1, 3)), "bfloat16")).claim


def test_a_missing_batch_axis_says_both_shapes_and_what_to_do() -> None:
    problem = refusal(lambda: cast(np.ones((1, 28, 28)), "float32", ("n", 1, 28, 28)))
    assert problem.code == "OL206"
    assert "has samples of shape [28, 28]" in problem.claim
    assert "takes [1, 28, 28]" in problem.claim
    assert problem.hint.startswith("the batch axis is missing")


def test_a_batch_axis_of_the_samples_own_is_called_that() -> None:
    problem = refusal(lambda: cast(np.ones((5, 1, 3, 8, 8)), "float32", ("n", 3, 8, 8)))
    assert "batch axis of their own" in problem.hint


def test_named_dimensions_take_any_size_and_fixed_ones_only_theirs() -> None:
    assert cast(np.ones((2, 9)), "float32", ("n", "length")).shape == (2, 9)
    assert refusal(lambda: cast(np.ones((2, 9)), "float32", ("n", 8))).code == "OL206"


def test_a_plain_column_feeds_an_input_of_one_value_per_sample() -> None:
    assert cast(np.arange(4.0), "float32", ("n", 1)).shape == (4, 1)
    assert cast(np.array(["a", "b"]), "string", ("n", 1)).shape == (2, 1)


def test_an_input_of_unknown_rank_takes_any_shape() -> None:
    assert cast(np.ones((2, 3, 4)), "float32", ()).shape == (2, 3, 4)
    assert cast(np.ones((2, 3, 4)), "float32", (UNKNOWN_RANK,)).shape == (2, 3, 4)


@given(
    values=numpy_strategies.arrays(
        st.sampled_from(["int8", "uint8", "int32", "int64", "uint64", "float32", "float64"]), st.tuples(st.just(4))
    ),
    wanted=st.sampled_from(["int8", "uint8", "int32", "int64", "bool"]),
)
def test_a_cast_to_whole_numbers_keeps_every_value_or_is_refused(values: Array, wanted: str) -> None:
    from olivelike.errors import InputError

    try:
        made = cast(values, wanted, ("n",))
    except InputError as error:
        assert error.problems[0].code in {"OL206", "OL208"}
        return
    assert [int(value) for value in made.tolist()] == [int(value) for value in values.tolist()]
