"""Tests of sharing bits out: against trying everything, and never beyond the budget."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olivelike_passes.quantization.budget import Option, cheapest, shared_out

OPTIONS = st.lists(
    st.builds(Option, st.sampled_from("abcdef"), st.integers(1, 20).map(float), st.integers(0, 100).map(float)),
    min_size=1,
    max_size=4,
)


def bits(options: list[Option]) -> float:
    return sum(option.bits for option in options)


def loss(options: list[Option]) -> float:
    return sum(option.loss for option in options)


@given(st.lists(OPTIONS, min_size=1, max_size=4), st.floats(0, 60))
def test_budget_is_kept_and_what_is_lost_is_near_the_least(items: list[list[Option]], extra: float) -> None:
    budget = cheapest(items) + extra
    found = shared_out(items, budget)
    assert bits(found) <= budget
    assert all(option in options for option, options in zip(found, items, strict=True))
    # One step that does not fit may be missed: no choice is better than what one more of the largest steps would buy.
    steps = [max(option.bits for option in options) - min(option.bits for option in options) for options in items]
    assert loss(shared_out(items, budget + max(steps))) <= min(
        loss(list(tried)) for tried in product(*items) if bits(list(tried)) <= budget
    )


def test_more_bits_never_lose_more() -> None:
    items = [[Option("4", 4.0 * n, 1.0 / n), Option("8", 8.0 * n, 0.01 / n)] for n in (1, 2, 3, 5, 8)]
    losses = [loss(shared_out(items, budget)) for budget in range(76, 153)]
    assert losses[0] == sum(options[0].loss for options in items)
    assert losses[-1] == pytest.approx(sum(options[1].loss for options in items))


def test_option_that_is_larger_and_loses_more_is_never_taken() -> None:
    assert shared_out([[Option("good", 4, 1), Option("bad", 8, 2)]], 100) == [Option("good", 4, 1)]
