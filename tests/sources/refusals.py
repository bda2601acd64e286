"""What a refusal said: the one problem of an InputError, for tests to look at."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from olivelike.errors import InputError, Problem


def refusal(action: Callable[[], object]) -> Problem:
    """Returns the problem of the InputError that an action raises; fails if it raises none, or says several things."""
    with pytest.raises(InputError) as caught:
        action()
    (problem,) = caught.value.problems
    assert "\n" not in problem.claim
    return problem
