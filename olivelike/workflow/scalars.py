"""Scalars: what an unquoted word of YAML 1.2 means (core schema, YAML 1.2.2 section 10.3.2)."""

from __future__ import annotations

import re
from typing import TypeAlias

ScalarValue: TypeAlias = "str | int | float | bool | None"

_WORDS: dict[str, ScalarValue] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_LONGEST = 400
"""Digits of a number; Python refuses to convert more than 4,300, and none of them is meant as a number."""


def resolve(text: str) -> ScalarValue:
    """Returns the value of an unquoted scalar: text unless it reads as null, a boolean or a number.

    >>> resolve("off"), resolve("12:30"), resolve("1e-5"), resolve("0x10")
    ('off', '12:30', 1e-05, 16)
    """
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _LONGEST or not (text[0].isdigit() or text[0] in "+-."):
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEXADECIMAL.fullmatch(text):
        return int(text[2:], 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    return float(text.replace(".", "")) if _INFINITE.fullmatch(text) else text
