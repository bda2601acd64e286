"""Tests of lines about what passes noted."""

from __future__ import annotations

from olivelike.report.noted import noted_lines


def test_small_notes_are_spelled_out_and_tables_counted() -> None:
    notes = {"mixed": {"formats": {"int4": 3, "int8": 1}, "applied": {str(place): "int4" for place in range(9)}}}
    assert list(noted_lines(notes)) == ["noted by mixed: formats int4 3; int8 1, applied (9 entries)"]


def test_notes_of_any_shape_make_lines() -> None:
    assert list(noted_lines({"a": [1, 2], "b": "text", "c": {}, "d": {"e": [], "f": None}, "g": 3})) == [
        "noted by a: 1; 2",
        "noted by b: text",
        "noted by g: 3",
    ]


def test_nested_tables_are_counted() -> None:
    assert list(noted_lines({"a": {"b": {"c": {"d": 1}}}})) == ["noted by a: b (1 entries)"]
