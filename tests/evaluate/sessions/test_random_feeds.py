import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from olivelike.contracts.metric import TensorInfo
from olivelike.errors import InputError
from olivelike.evaluate.sessions.random_feeds import FLOATS, INTEGERS, random_feeds

TOKENS = TensorInfo("tokens", "int64", ("n", "length"))
IMAGE = TensorInfo("image", "float32", ("n", 3, "?", "side"))


def test_first_dimension_is_the_batch_and_others_are_one_unless_named() -> None:
    feeds = random_feeds([TOKENS, IMAGE], 4, {"side": 5}, 0)
    assert feeds["tokens"].shape == (4, 1)
    assert feeds["image"].shape == (4, 3, 1, 5)


def test_a_named_first_dimension_wins_over_the_batch_and_a_fixed_one_over_both() -> None:
    assert random_feeds([TOKENS], 4, {"n": 2}, 0)["tokens"].shape == (2, 1)
    assert random_feeds([TensorInfo("a", "float32", (7, "m"))], 4, {"m": 2}, 0)["a"].shape == (7, 2)


@given(st.sampled_from(sorted(FLOATS | INTEGERS)), st.lists(st.integers(0, 4), max_size=3), st.integers(0, 2**32))
def test_any_numeric_type_and_shape_is_drawn_and_repeats_with_the_seed(dtype: str, shape: list[int], seed: int) -> None:
    info = TensorInfo("a", dtype, tuple(shape))
    first, second = (random_feeds([info], 1, {}, seed)["a"] for _ in range(2))
    assert (first.dtype, first.shape) == (np.dtype(dtype), tuple(shape))
    assert first.tobytes() == second.tobytes()
    assert dtype in FLOATS or set(np.unique(first.astype(int))) <= {0, 1}


def test_order_of_the_inputs_changes_nothing() -> None:
    one, other = random_feeds([TOKENS, IMAGE], 2, {}, 1), random_feeds([IMAGE, TOKENS], 2, {}, 1)
    assert list(one) == ["tokens", "image"]
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_scalar_input_gets_an_array_without_dimensions() -> None:
    assert random_feeds([TensorInfo("a", "float32", ())], 4, {}, 0)["a"].shape == ()


def test_an_unknown_dimension_is_refused_with_the_near_miss() -> None:
    with pytest.raises(InputError, match=r"OL206 dims\.lenght: .*did you mean length\?"):
        random_feeds([TOKENS], 1, {"lenght": 3}, 0)


@pytest.mark.parametrize("dtype", ["string", "seq(tensor(float))", "bfloat16"])
def test_a_type_that_cannot_be_drawn_is_refused(dtype: str) -> None:
    with pytest.raises(InputError, match=r"OL206: .*give the metric data"):
        random_feeds([TensorInfo("words", dtype, ("n",))], 1, {}, 0)
