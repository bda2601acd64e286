"""What follows from tokens: worked out by hand, as transformers counts positions and Optimum names inputs."""

from __future__ import annotations

import numpy as np
import pytest

from olivelike.contracts.metric import TensorInfo
from olivelike.errors import InputError
from olivelike.evaluate.sessions.causal_inputs import completed, empty_past, past_inputs

INPUTS = (
    TensorInfo("input_ids", "int32", ("batch", "sequence")),
    TensorInfo("attention_mask", "int64", ("batch", "total")),
    TensorInfo("position_ids", "int64", ("batch", "sequence")),
    TensorInfo("use_cache_branch", "bool", (1,)),
    TensorInfo("past_key_values.0.key", "float16", ("batch", 2, "past_sequence_length", 4)),
)


def test_positions_count_what_is_not_masked_and_the_past_is_empty() -> None:
    tokens, mask = np.array([[0, 0, 7, 8], [5, 6, 7, 8]]), np.array([[0, 0, 1, 1], [1, 1, 1, 1]])
    feeds = completed(INPUTS, tokens, mask)
    assert [feeds[info.name].dtype for info in INPUTS] == [np.dtype(info.dtype) for info in INPUTS]
    assert feeds["position_ids"].tolist() == [[0, 0, 0, 1], [0, 1, 2, 3]]
    assert feeds["use_cache_branch"].tolist() == [False]
    assert feeds["past_key_values.0.key"].shape == (2, 2, 0, 4)


def test_behind_a_past_positions_go_on() -> None:
    held = np.ones((1, 2, 3, 4), np.float16)
    feeds = completed(INPUTS, np.array([[9]]), np.ones((1, 4)), {"past_key_values.0.key": held})
    assert feeds["position_ids"].tolist() == [[3]]
    assert feeds["attention_mask"].tolist() == [[1, 1, 1, 1]]
    assert feeds["use_cache_branch"].tolist() == [True]
    assert feeds["past_key_values.0.key"] is held


def test_what_is_none_of_it_is_refused() -> None:
    with pytest.raises(InputError, match=r"OL206.*takes 'pixels', which is neither tokens, mask, positions nor a past"):
        past_inputs((*INPUTS, TensorInfo("pixels", "float32", ("batch", 3))))


@pytest.mark.parametrize(
    ("shape", "empty"),
    [
        (("batch_size", 2, "past_sequence_length", 4), (1, 2, 0, 4)),
        (("batch", 2, "?", 4), (1, 2, 0, 4)),
        ((1, 2, 4, "past"), (1, 2, 4, 0)),
    ],
)
def test_an_empty_cache_has_the_models_own_shape_and_type(shape: tuple[int | str, ...], empty: tuple[int, ...]) -> None:
    array = empty_past(TensorInfo("past", "float16", shape))
    assert (array.shape, array.dtype) == (empty, np.float16)


@pytest.mark.parametrize(
    "info",
    [
        TensorInfo("past", "float32", (1, 2, 128, 4)),
        TensorInfo("past", "float32", ("batch", "heads", "past", 4)),
        TensorInfo("past", "bfloat16", ("batch", 2, "past", 4)),
    ],
    ids=["of fixed length", "of unknown heads", "of a type that numpy lacks"],
)
def test_a_cache_that_cannot_be_left_empty_is_refused(info: TensorInfo) -> None:
    with pytest.raises(InputError, match=r"OL206.*cannot be left empty"):
        empty_past(info)
