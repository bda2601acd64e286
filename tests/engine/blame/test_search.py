"""The search finds planted culprits exactly, in k log n evaluations, and what it finds suffices even where effects interact."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from olivelike.engine.blame.search import culprits


class Counted:
    """A question that remembers what it was asked, as trials do."""

    def __init__(self, holds: Callable[[frozenset[int]], bool]) -> None:
        self._holds = holds
        self.known: dict[frozenset[int], bool] = {}

    def __call__(self, chosen: Sequence[int]) -> bool:
        key = frozenset(chosen)
        if key not in self.known:
            self.known[key] = self._holds(key)
        return self.known[key]


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), max_size=6))))
def test_planted_culprits_are_found_exactly_in_k_log_n_evaluations(case: tuple[int, set[int]]) -> None:
    n, planted = case
    question = Counted(lambda chosen: planted <= chosen)
    result = culprits(range(n), question)
    assert set(result.found) == planted
    assert result.monotone
    k = len(planted)
    # for each culprit one halving of the list, one look whether that was all, and one check that it is needed
    assert len(question.known) <= 1 + k * (math.ceil(math.log2(n)) + 2)


@given(st.lists(st.sets(st.integers(0, 11), min_size=1), min_size=1, max_size=6))
def test_whatever_the_interactions_what_is_found_suffices_and_no_member_can_be_left_out(sets: list[set[int]]) -> None:
    exactly = [frozenset(chosen) for chosen in sets]  # only these sets suffice, and all items together: not monotone

    def holds(chosen: frozenset[int]) -> bool:
        return chosen in exactly or len(chosen) == 12

    found = culprits(range(12), Counted(holds)).found
    assert holds(frozenset(found))
    assert not any(holds(frozenset(found) - {item}) for item in found)


def test_a_member_that_turns_out_superfluous_is_left_out_and_said() -> None:
    # Until item 0 is back, item 2 hurts: {2} suffices, {0, 2} does not, {0, 1, 2} does.
    suffices = {frozenset({2}), frozenset({1, 2}), frozenset({0, 1, 2})}
    result = culprits(range(3), Counted(lambda chosen: chosen in suffices))
    assert result.found == (2,)


def test_of_two_sets_that_suffice_the_one_with_earlier_items_is_found() -> None:
    result = culprits(range(8), Counted(lambda chosen: 1 in chosen or 6 in chosen))
    assert result.found == (1,)


def test_nothing_is_blamed_where_nothing_is_needed() -> None:
    assert culprits(range(8), Counted(lambda chosen: True)).found == ()
