"""Tests of sizes that are told equal by what they are computed from."""

from __future__ import annotations

import pytest

from olivelike_passes.graph.fusion.dims import Dim, may_be_negative, minus, plus, times


def _doubled(size: Dim, count: int) -> Dim:
    for step in range(count):
        size = times(size, size) if step % 2 else plus(size, size)
    return size


@pytest.mark.parametrize("start", ["n", 3])
def test_size_that_is_doubled_again_and_again_stays_small_and_equal_to_itself(start: Dim) -> None:
    assert _doubled(start, 200) == _doubled(start, 200)
    assert _doubled(start, 200) != _doubled(start, 201)
    assert len(repr(_doubled(start, 200))) < 5000  # digests of 64 letters, at most 32 of them


def test_large_sums_are_equal_where_their_terms_are() -> None:
    def summed(names: list[str]) -> Dim:
        total: Dim = 0
        for name in names:
            total = plus(total, name)
        return total

    names = [f"n{place}" for place in range(100)]
    assert summed(names) == summed(names)
    assert summed(names) != summed([*names[:-1], "other"])


def test_what_is_abbreviated_may_be_negative() -> None:
    assert may_be_negative(minus("n", "m"))
    assert may_be_negative(plus("n", -1))
    assert may_be_negative(_doubled("n", 20))
    assert not may_be_negative(plus("n", 1))
    assert not may_be_negative(("cut", "n", ("..", 0, -1)))
