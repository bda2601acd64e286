import random

from hypothesis import given
from hypothesis import strategies as st

from olivelike.contracts.space import Range
from olivelike.search.answers import RandomAnswers


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.booleans(), st.booleans(), st.integers(0, 10**6))
def test_a_random_answer_lies_in_its_range(low: int, width: int, log: bool, integer: bool, seed: int) -> None:
    domain = Range(low, low + width, log=log, integer=integer)
    value = RandomAnswers(random.Random(seed)).parameter("p", domain)
    assert isinstance(value, int if integer else float)
    assert low <= value <= low + width


def test_the_dials_are_noted_by_path() -> None:
    answers = RandomAnswers(random.Random(0))
    value = answers.parameter("step.x", Range(0, 100, step=10))
    assert answers.dials["step.x"] * 10 == value
