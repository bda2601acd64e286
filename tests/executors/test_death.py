import signal
import sys

import pytest

from olivelike.executors.death import cause_of_death


def test_a_plain_exit_is_told_by_its_code() -> None:
    assert cause_of_death(3) == "it ended with exit code 3"


def test_a_windows_status_is_told_in_hexadecimal() -> None:
    assert cause_of_death(0xC0000005) == "it ended with exit code 0xc0000005"


@pytest.mark.skipif(sys.platform == "win32", reason="signals end no process on Windows")
def test_a_signal_is_told_by_its_name() -> None:
    assert cause_of_death(-signal.SIGSEGV) == "it was killed by SIGSEGV"
    assert cause_of_death(-signal.SIGKILL).startswith("it was killed by SIGKILL, perhaps")


def test_an_unknown_signal_is_told_by_its_number() -> None:
    assert cause_of_death(-250) == "it was killed by signal 250"
