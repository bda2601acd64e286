import pytest

from olivelike.errors import MeasureError
from olivelike.evaluate.sessions.runtime_errors import explained, runtime_exceptions, shortened


def test_the_runtimes_own_exceptions_are_known() -> None:
    from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

    assert InvalidArgument in runtime_exceptions()
    assert Exception not in runtime_exceptions()


def test_a_long_reason_is_cut() -> None:
    assert shortened("x" * 1000) == "x" * 297 + "..."


def test_other_exceptions_pass_through() -> None:
    with pytest.raises(KeyError), explained("claim"):
        raise KeyError("a mistake of our own")


def test_what_the_runtime_raises_gets_the_claim_and_the_hint() -> None:
    with (
        pytest.raises(MeasureError, match=r"OL504: it failed: bad shape\. hint: fix it"),
        explained("it failed", "fix it"),
    ):
        raise RuntimeError("bad\n shape.")
