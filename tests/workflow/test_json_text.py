"""JSON as the workflow file reads it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olivelike.digest import Json
from olivelike.errors import InputError
from olivelike.workflow.document import Document, expand
from olivelike.workflow.json_text import parse_json

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def read(text: str) -> Document:
    return expand(parse_json(text, "w.json"), "w.json")


@given(values, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_json_reads_as_the_json_module_reads_it(value: Json, indent: int | str | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert read(text).value == json.loads(text)


def test_lines_are_known() -> None:
    places = read('{\n\t"a": 1,\n\t"b": [\n\t\t2,\n\t\t3\n\t]\n}').places
    assert [places.at(path) for path in [("a",), ("b",), ("b", 1)]] == ["w.json:2", "w.json:3", "w.json:5"]


def test_a_key_that_stands_twice_is_said() -> None:
    assert [str(problem) for problem in read('{"a": 1,\n"a": 2}').problems] == [
        "OL103 w.json:2 a: `a` stands twice, first on line 1. hint: remove one of the two"
    ]


def test_a_merge_sign_is_a_plain_key() -> None:
    assert read('{"<<": {"a": 1}}').value == {"<<": {"a": 1}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "OL101 w.json:1: not JSON: expecting value"),
        ('{"a": 1,}', "OL101 w.json:1: not JSON: expected a key in double quotes"),
        ("{'a': 1}", "OL101 w.json:1: not JSON: expected a key in double quotes"),
        ('{"a" 1}', "OL101 w.json:1: not JSON: expected a colon after the key"),
        ("[1\n 2]", "OL101 w.json:2: not JSON: expected a comma or ]"),
        ("[1] x", "OL101 w.json:1: not JSON: something follows the document's end"),
        ('{"a": NaN}', "OL101 w.json:1: not JSON: NaN is not JSON"),
        ('{"a": 1e999}', "OL101 w.json:1: not JSON: a number that is not finite"),
        ("[" + "9" * 5000 + "]", "OL101 w.json:1: not JSON: a number with more digits than can be read"),
        ("[" * 100_000, "OL106 w.json:1: nested deeper than 64 levels. hint: flatten it"),
        ('{"a": "b\n"}', "OL101 w.json:1: not JSON: invalid control character at"),
    ],
)
def test_what_is_no_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(text)
    assert str(caught.value) == message
