import pytest

from olivelike.errors import Problem, StepError
from olivelike.executors.failure import failed_by, last_lines, one_line


def test_every_problem_of_an_error_is_in_the_reason() -> None:
    error = StepError(Problem("OL303", "no file"), Problem("OL304", "no graph", hint="look at it"))
    assert failed_by(error).reason == "OL303: no file OL304: no graph. hint: look at it"


def test_an_unexpected_error_is_an_internal_one_with_its_traceback() -> None:
    with pytest.raises(KeyError) as caught:
        raise KeyError("weight")
    failed = failed_by(caught.value)
    assert failed.reason == "OL599: KeyError: 'weight'"
    assert failed.log.startswith("Traceback")
    assert failed.log.endswith("KeyError: 'weight'")


def test_a_reason_is_one_line_of_bounded_length() -> None:
    assert one_line(" a\n\tb ") == "a b"
    assert one_line("x" * 501) == "x" * 497 + "..."
    assert one_line("x" * 500) == "x" * 500


def test_a_log_keeps_its_last_forty_lines() -> None:
    assert last_lines("\n".join(map(str, range(100)))).splitlines() == [str(number) for number in range(60, 100)]
