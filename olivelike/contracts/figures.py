"""The figures of a measurement as short texts: the same in verdicts, tables, notebooks and progress lines.

A comparison with the baseline stands first, with its interval: it was measured side by side, sample by sample. Plain values of two
models were measured at different times and may contradict it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from olivelike.contracts.outcome import Interval, Measurement, Paired
from olivelike.digest import JsonObject

PREFIXES = (("G", 1e9), ("M", 1e6), ("k", 1e3))
COUNTED = frozenset({"bytes", "ops", "macs", "nodes", "partitions"})
WORDS = {
    "ms": ("faster", "slower"),
    "s": ("faster", "slower"),
    "1/s": ("slower", "faster"),
    "bytes": ("smaller", "larger"),
    "J": ("less", "more"),
}
"""What a smaller and a larger value of a unit is called."""
SMALL = 1e-3
"""Plain numbers below this are told by their digits: four decimals would show none."""
MANY, HUGE = 1e3, 1e9
"""Between these a number is told in full, not as a power of ten."""
NO_CHANGE = 0.005
"""A ratio closer to 1 than this is told as unchanged: two digits show no more."""


def figures(measurement: Measurement) -> tuple[str, ...]:
    """Returns what there is to tell of a measurement, what comparisons rest on first.

    >>> figures(Measurement.exact(620_000, "bytes", "lower"))
    ('620 kB',)
    >>> figures(Measurement(0.0728, "ms", "lower", 0.07, 0.08, 20, Paired("ratio", Interval(0.5, 0.49, 0.51))))
    ('2.00 x faster [1.96, 2.04]', '0.0728 ms, n 20')
    """
    value, count = value_text(measurement.value, measurement.unit), f"n {measurement.n:,}"
    if compared := comparison(measurement):
        return compared, f"{value}, {count}"
    if measurement.low == measurement.high:
        return (value,)
    low, high = (_number(end, measurement.unit) for end in (measurement.low, measurement.high))
    return f"{value} [{low}, {high}]", count


def comparison(measurement: Measurement) -> str:
    """Returns how a model compares with the baseline where that was measured side by side, with its interval; else nothing."""
    match measurement.versus:
        case Paired(kind="ratio", interval=ratio):
            return _factor_text(ratio, measurement.unit)
        case Paired(interval=gap):
            low, high = (_signless_zero(f"{end:+.4f}") for end in (gap.low, gap.high))
            return f"{_signless_zero(f'{gap.value:+.4f}')} [{low}, {high}]"
        case _:
            return ""


def brief(measurement: Measurement) -> str:
    """Returns the first thing to tell of a measurement and its plain value: `2.00 x faster [1.96, 2.04] (0.0728 ms)`."""
    if compared := comparison(measurement):
        return f"{compared} ({value_text(measurement.value, measurement.unit)})"
    return figures(measurement)[0]


def value_text(value: float, unit: str) -> str:
    """Returns a value with its unit, counts with the largest fitting decimal prefix.

    >>> value_text(19_910, "bytes"), value_text(0.92431, "1"), value_text(0.07281, "ms")
    ('19.9 kB', '0.9243', '0.0728 ms')
    >>> value_text(12_501_632, "macs"), value_text(999, "bytes")
    ('12.5 Mmacs', '999 bytes')
    """
    if unit in COUNTED:
        for prefix, size in PREFIXES:
            if value >= size:
                return f"{value / size:.3g} {prefix}{'B' if unit == 'bytes' else unit}"
        return f"{value:.0f} {unit}"
    if unit == "1":
        return _number(value, unit)
    return f"{_number(value, unit)} {unit}"


def _number(value: float, unit: str) -> str:
    if unit in COUNTED:
        return value_text(value, unit)
    if unit == "1" and (value == 0 or abs(value) >= SMALL):
        return _signless_zero(f"{value:.4f}")
    return f"{value:,.0f}" if MANY <= abs(value) < HUGE else f"{value:#.3g}".rstrip(".")


def _factor_text(ratio: Interval, unit: str) -> str:
    """Returns a ratio of candidate over baseline as a factor above 1 with a word for its direction."""
    less, more = WORDS.get(unit, ("lower", "higher"))
    if abs(ratio.value - 1) < NO_CHANGE:
        return f"unchanged [{ratio.low:.2f}, {ratio.high:.2f}]"
    if ratio.value > 1:
        return f"{ratio.value:.2f} x {more} [{ratio.low:.2f}, {ratio.high:.2f}]"
    return f"{_inverse(ratio.value):.2f} x {less} [{_inverse(ratio.high):.2f}, {_inverse(ratio.low):.2f}]"


def _inverse(ratio: float) -> float:
    return 1 / ratio if ratio else inf


def _signless_zero(text: str) -> str:
    """Returns a number's text, without a sign where no digit is left that it could belong to."""
    return text.lstrip("+-") if not text.strip("+-0.,") else text


def metrics_json(metrics: Mapping[str, Measurement]) -> JsonObject:
    """Returns measurements by `name.value`, as the answer document holds them."""
    return {name: measurement.to_json() for name, measurement in metrics.items()}
