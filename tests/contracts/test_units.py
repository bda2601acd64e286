"""Durations, sizes and bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olivelike.contracts.units import Amount, UnitError, amount, amount_text, seconds, seconds_text, size, size_text


@pytest.mark.parametrize(
    ("written", "expected"),
    [("20 ms", 0.02), ("90 s", 90.0), ("5 min", 300.0), ("1.5 h", 5400.0), ("5min", 300.0), ("1e3 s", 1000.0)],
)
def test_durations_become_seconds(written: str, expected: float) -> None:
    assert seconds(written) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("512 B", 512),
        ("1 KB", 1e3),
        ("1 KiB", 1024),
        ("1 MB", 1e6),
        ("1.5 MiB", 1572864),
        ("1 GB", 1e9),
        ("1 GiB", 2**30),
    ],
)
def test_sizes_become_bytes(written: str, expected: float) -> None:
    assert size(written) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (0.01, Amount(0.01)),
        (2, Amount(2.0)),
        ("1%", Amount(0.01, relative=True)),
        ("7 %", Amount(0.07, relative=True)),
        ("20 ms", Amount(20.0, unit="ms")),
        ("2 s", Amount(2000.0, unit="ms")),
        ("1 GiB", Amount(1073741824.0, unit="bytes")),
        ("-3.5 dB", Amount(-3.5, unit="dB")),
    ],
)
def test_amounts_keep_percent_apart_and_normalise_their_unit(written: object, expected: Amount) -> None:
    assert amount(written) == expected


@pytest.mark.parametrize(
    ("written", "claim", "hint"),
    [
        (300, "got 300 without a unit, expected a duration", "write the unit: 5 min"),
        ("300", "got '300', expected a duration", "for example 5 min"),
        ("soon", "got 'soon', expected a duration", "for example 5 min"),
        ("5 mins", "unknown unit in '5 mins'", "known units: ms, s, min, h"),
        ("20 us", "unknown unit in '20 us'", "known units: ms, s, min, h"),
        ("2 S", "unknown unit in '2 S'", "did you mean s?"),
        ("0 s", "got '0 s', expected a duration above zero", "for example 5 min"),
        ("-1 s", "got '-1 s', expected a duration above zero", "for example 5 min"),
        ("1e999 s", "got '1e999 s', expected a duration above zero", "for example 5 min"),
        (None, "got None, expected a duration", "for example 5 min"),
        (True, "got True, expected a duration", "for example 5 min"),
    ],
)
def test_a_wrong_duration_says_what_to_write(written: object, claim: str, hint: str) -> None:
    with pytest.raises(UnitError) as caught:
        seconds(written)
    assert (str(caught.value), caught.value.hint) == (claim, hint)


def test_an_unknown_unit_of_a_bound_is_named() -> None:
    with pytest.raises(UnitError, match="unknown unit in '3 parsec'"):
        amount("3 parsec")


positive = st.floats(min_value=1e-9, max_value=1e15)


@given(positive)
def test_written_quantities_read_back_exactly(value: float) -> None:
    assert seconds(seconds_text(value)) == value
    assert size(size_text(value)) == value


@given(
    st.builds(Amount, st.floats(-1e12, 1e12))
    | st.builds(Amount, st.floats(-1e6, 1e6), st.just(True))
    | st.builds(Amount, positive, st.just(False), st.sampled_from(["ms", "bytes", "dB"]))
)
def test_written_amounts_read_back_exactly(value: Amount) -> None:
    assert amount(amount_text(value)) == value
