"""How samples are cut into batches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from olivelike.contracts.metric import TensorInfo
from olivelike.sources.batching import batches_of, fixed_batch
from tests.sources.refusals import refusal

SIZES = st.integers(min_value=0, max_value=50)


@given(count=SIZES, size=SIZES, most=SIZES)
def test_free_batches_cover_the_first_samples_once_and_in_order(count: int, size: int, most: int) -> None:
    batches = list(batches_of(count, size, most, 0))
    assert [at for batch in batches for at in batch] == list(range(min(count, most or count)))
    assert all(len(batch) == (size or 1) for batch in batches[:-1])


@given(whole=st.integers(min_value=1, max_value=9), size=SIZES, most=SIZES, fixed=st.integers(min_value=1, max_value=8))
def test_a_model_that_fixes_its_batch_gets_only_whole_ones(whole: int, size: int, most: int, fixed: int) -> None:
    batches = list(batches_of(whole * fixed, size, most, fixed))
    assert batches
    assert {len(batch) for batch in batches} == {fixed}
    assert not most or len(batches) * fixed <= max(most, fixed)


def test_a_fixed_first_dimension_is_the_batch_and_a_name_leaves_it_free() -> None:
    assert fixed_batch([TensorInfo("x", "float32", (4, 3))], "data.test") == 4
    assert fixed_batch([TensorInfo("x", "float32", ("n", 3)), TensorInfo("y", "float32", ())], "data.test") == 0


def test_inputs_that_fix_different_batches_are_refused() -> None:
    inputs = [TensorInfo("x", "float32", (4, 3)), TensorInfo("y", "float32", (1,))]
    problem = refusal(lambda: fixed_batch(inputs, "data.test"))
    assert problem.code == "OL206"
    assert "x 4, y 1" in problem.claim
