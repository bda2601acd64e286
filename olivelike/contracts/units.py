"""Units: durations, sizes and bounds as people write them (`5 min`, `1 GiB`, `1%`), read exactly."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

SECONDS: Mapping[str, Decimal] = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "min": Decimal(60),
    "h": Decimal(3600),
}
BYTES: Mapping[str, Decimal] = {
    "B": Decimal(1),
    "KB": Decimal(1000),
    "MB": Decimal(1000**2),
    "GB": Decimal(1000**3),
    "KiB": Decimal(1024),
    "MiB": Decimal(1024**2),
    "GiB": Decimal(1024**3),
}
DECIBELS = "dB"
Written: TypeAlias = "str | int | float"

_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?)\s*([A-Za-z%]+)\s*")


class UnitError(ValueError):
    """A quantity that cannot be read; `hint` says what to write."""

    def __init__(self, claim: str, hint: str) -> None:
        super().__init__(claim)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Amount:
    """A bound or a tolerance.

    Attributes:
        value: in `unit`; a share (0.01 for `1%`) where `relative`.
        relative: whether it was written in percent.
        unit: `ms` for every time, `bytes` for every size, `dB`, empty for a plain number or a share.
    """

    value: float
    relative: bool = False
    unit: str = ""


def seconds(written: object) -> float:
    """Reads a duration.

    >>> seconds("5 min")
    300.0

    Raises:
        UnitError: no duration, or not above zero.
    """
    return _scaled(written, SECONDS, "a duration", "5 min")


def size(written: object) -> float:
    """Reads a number of bytes.

    >>> size("1 GiB")
    1073741824.0

    Raises:
        UnitError: no size, or not above zero.
    """
    return _scaled(written, BYTES, "a size", "2 GiB")


def amount(written: object) -> Amount:
    """Reads a bound: a plain number, percent, a time, a size or decibels.

    >>> amount("1%")
    Amount(value=0.01, relative=True, unit='')
    >>> amount("2 s")
    Amount(value=2000.0, relative=False, unit='ms')

    Raises:
        UnitError: none of these.
    """
    if isinstance(written, int | float) and not isinstance(written, bool):
        return Amount(float(written))
    number, unit = _split(written, "a number or a quantity", "20 ms")
    if unit == "%":
        return Amount(float(number.scaleb(-2)), relative=True)
    if unit in SECONDS:
        return Amount(float(number * SECONDS[unit] * 1000), unit="ms")
    if unit in BYTES:
        return Amount(float(number * BYTES[unit]), unit="bytes")
    if unit == DECIBELS:
        return Amount(float(number), unit=DECIBELS)
    raise UnitError(f"unknown unit in {written!r}", _known(unit, [*SECONDS, *BYTES, DECIBELS, "%"]))


def seconds_text(value: float) -> str:
    """Writes a duration so that `seconds` reads the same number."""
    return f"{_digits(value)} s"


def size_text(value: float) -> str:
    """Writes a size so that `size` reads the same number."""
    return f"{_digits(value)} B"


def amount_text(value: Amount) -> str | float:
    """Writes an amount so that `amount` reads the same."""
    if value.relative:
        return f"{_digits(value.value, shift=2)}%"
    match value.unit:
        case "ms":
            return f"{_digits(value.value)} ms"
        case "bytes":
            return size_text(value.value)
        case "dB":
            return f"{_digits(value.value)} dB"
        case _:
            return value.value


def _scaled(written: object, units: Mapping[str, Decimal], what: str, example: str) -> float:
    number, unit = _split(written, what, example)
    if unit not in units:
        raise UnitError(f"unknown unit in {written!r}", _known(unit, units))
    result = float(number * units[unit])
    if result <= 0 or math.isinf(result):
        raise UnitError(f"got {written!r}, expected {what} above zero", f"for example {example}")
    return result


def _split(written: object, what: str, example: str) -> tuple[Decimal, str]:
    if isinstance(written, int | float) and not isinstance(written, bool):
        raise UnitError(f"got {written!r} without a unit, expected {what}", f"write the unit: {example}")
    match = _QUANTITY.fullmatch(written) if isinstance(written, str) else None
    if match is None:
        raise UnitError(f"got {written!r}, expected {what}", f"for example {example}")
    return Decimal(match[1]), match[2]


def _known(unit: str, units: Iterable[str]) -> str:
    """Returns a hint: the unit that differs in case alone, else all of them, since a near miss may be a thousand times off."""
    known = list(units)
    same = [name for name in known if name.lower() == unit.lower()]
    return f"did you mean {same[0]}?" if same else f"known units: {', '.join(known)}"


def _digits(value: float, *, shift: int = 0) -> str:
    return format(Decimal(repr(value)).scaleb(shift).normalize(), "f")
