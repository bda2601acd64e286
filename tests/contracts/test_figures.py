"""Figures: comparisons first, with their intervals; nothing misleads by its sign or its digits."""

from __future__ import annotations

from typing import Literal

import pytest

from olivelike.contracts.figures import brief, figures, value_text
from olivelike.contracts.outcome import Interval, Measurement, Paired


def paired(
    kind: Literal["ratio", "difference"], value: float, low: float, high: float, unit: str = "ms", n: int = 20
) -> Measurement:
    return Measurement(0.188, unit, "lower", 0.18, 0.2, n, Paired(kind, Interval(value, low, high)))


@pytest.mark.parametrize(
    ("measurement", "told"),
    [
        (paired("ratio", 0.5, 0.4, 0.625), ("2.00 x faster [1.60, 2.50]", "0.188 ms, n 20")),
        (paired("ratio", 5.0, 4.0, 6.0), ("5.00 x slower [4.00, 6.00]", "0.188 ms, n 20")),
        (paired("ratio", 1.001, 0.99, 1.01), ("unchanged [0.99, 1.01]", "0.188 ms, n 20")),
        (paired("ratio", 2.0, 1.9, 2.1, "1/s"), ("2.00 x faster [1.90, 2.10]", "0.188 1/s, n 20")),
        (paired("ratio", 0.5, 0.4, 0.5, "J"), ("2.00 x less [2.00, 2.50]", "0.188 J, n 20")),
        (paired("difference", -0.001, -0.002, 0.0, "1", 4000), ("-0.0010 [-0.0020, 0.0000]", "0.1880, n 4,000")),
        (paired("difference", -1e-9, -0.01, 0.01, "1"), ("0.0000 [-0.0100, +0.0100]", "0.1880, n 20")),
        (Measurement.exact(161_329, "bytes", "lower"), ("161 kB",)),
        (Measurement(0.0728, "ms", "lower", 0.07, 0.08, 7), ("0.0728 ms [0.0700, 0.0800]", "n 7")),
    ],
)
def test_what_was_measured_side_by_side_stands_first(measurement: Measurement, told: tuple[str, ...]) -> None:
    assert figures(measurement) == told


def test_a_brief_figure_holds_the_comparison_and_the_value() -> None:
    assert brief(paired("ratio", 0.5, 0.4, 0.625)) == "2.00 x faster [1.60, 2.50] (0.188 ms)"
    assert brief(Measurement.exact(19_910, "bytes", "lower")) == "19.9 kB"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(-0.0, "1", "0.0000"), (3e-7, "1", "3.00e-07"), (12_345.6, "1/s", "12,346 1/s"), (0.073, "ms", "0.0730 ms")],
)
def test_a_number_is_told_so_that_it_can_be_read(value: float, unit: str, text: str) -> None:
    assert value_text(value, unit) == text
