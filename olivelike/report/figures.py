"""The figures of a report as short texts, for tables in a terminal, a notebook and the README of a bundle."""

from __future__ import annotations

from olivelike.contracts.outcome import Measurement, Paired
from olivelike.contracts.report import Report

PREFIXES = (("G", 1e9), ("M", 1e6), ("k", 1e3))
COUNTED = frozenset({"bytes", "ops", "macs", "nodes", "partitions"})
AMOUNTS = frozenset({"bytes", "J"})
"""Units of what is used up: there is less or more of it, not a faster or slower one."""


def measured_text(measurement: Measurement) -> str:
    """Returns a value with its unit, and how it compares with the baseline where that was measured side by side.

    >>> measured_text(Measurement.exact(620_000, "bytes", "lower"))
    '620 kB'
    """
    text = value_text(measurement.value, measurement.unit)
    match measurement.versus:
        case Paired(kind="ratio", interval=ratio):
            if measurement.unit in AMOUNTS:
                return f"{text} ({amount_text(ratio.value)})"
            return f"{text} ({speed_text(ratio.value if measurement.better == 'lower' else 1 / ratio.value)})"
        case Paired(interval=gap):
            return f"{text} ({gap.value:+.4f})"
        case _:
            return text


def value_text(value: float, unit: str) -> str:
    """Returns a value with its unit, counts with the largest fitting decimal prefix.

    >>> value_text(12_501_632, "macs"), value_text(999, "bytes"), value_text(0.25, "ms")
    ('12.5 Mmacs', '999 bytes', '0.25 ms')
    """
    if unit in COUNTED:
        for prefix, size in PREFIXES:
            if value >= size:
                return f"{value / size:.3g} {prefix}{'B' if unit == 'bytes' else unit}"
        return f"{value:.0f} {unit}"
    if unit == "1":
        return f"{value:.4f}"
    return f"{value:.3g} {unit}"


def speed_text(ratio: float) -> str:
    """Returns a ratio of times as `1.42 x faster` or `5.10 x slower`.

    >>> speed_text(0.5), speed_text(5.1), speed_text(1.0)
    ('2.00 x faster', '5.10 x slower', 'same')
    """
    if abs(ratio - 1) < 0.005:
        return "same"
    return f"{1 / ratio:.2f} x faster" if ratio < 1 else f"{ratio:.2f} x slower"


def amount_text(ratio: float) -> str:
    """Returns a ratio of amounts as `1.42 x less` or `5.10 x more`.

    >>> amount_text(0.5), amount_text(5.1), amount_text(1.0)
    ('2.00 x less', '5.10 x more', 'same')
    """
    return speed_text(ratio).replace("faster", "less").replace("slower", "more")


def headline(report: Report) -> str:
    """Returns the report in one sentence."""
    name = report.workflow
    if report.chosen and report.status.exit_code == 0:
        choice = report.chosen[0]
        what = "the baseline" if choice.trial < 0 else str(choice.recipe)
        return f"{name}: {report.status.value}, {what}"
    return f"{name}: {report.status.value}. {report.why}"
