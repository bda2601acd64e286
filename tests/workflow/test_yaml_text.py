"""YAML as the workflow file reads it."""

from __future__ import annotations

import pytest

from olivelike.digest import Json
from olivelike.errors import InputError
from olivelike.workflow.document import Document, expand
from olivelike.workflow.nodes import MAX_DEPTH
from olivelike.workflow.yaml_text import parse_yaml


def read(text: str) -> Document:
    return expand(parse_yaml(text, "w.yaml"), "w.yaml")


def error_of(text: str) -> str:
    with pytest.raises(InputError) as caught:
        read(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"),
        ("no", "no"),
        ("yes", "yes"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("2024-01-31", "2024-01-31"),
        ("1e-5", 1e-5),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("-3", -3),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ('"5"', "5"),
        ("'true'", "true"),
        ("!!str 5", "5"),
        ("!!float 5", 5.0),
        ("! 5", 5),
        ("none", "none"),
        ("9" * 5000, "9" * 5000),
        (r'"\u00e9\n"', "é\n"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: Json) -> None:
    got = read(f"key: {text}").value
    assert got == {"key": value}
    assert isinstance(got, dict)
    assert type(got["key"]) is type(value)


def test_a_yaml_1_1_directive_does_not_bring_its_booleans_back() -> None:
    assert read("%YAML 1.1\n---\na: off\n").value == {"a": "off"}


def test_keys_are_text_as_written() -> None:
    assert read("1: a\ntrue: b\n0x10: c\n").value == {"1": "a", "true": "b", "0x10": "c"}


def test_lines_are_those_of_the_keys() -> None:
    places = read("a: 1\nb:\n  c: 2\n  d:\n    - x\n    - y\n").places
    assert [places.at(path) for path in [("a",), ("b",), ("b", "c"), ("b", "d", 1)]] == [
        "w.yaml:1",
        "w.yaml:2",
        "w.yaml:3",
        "w.yaml:6",
    ]
    assert places.at(("b", "c", "deeper", 3)) == "w.yaml:3"
    assert places.at(("nowhere",)) == "w.yaml:1"


def test_aliases_are_copied() -> None:
    value = read("a: &x {k: [1]}\nb: *x\n").value
    assert value == {"a": {"k": [1]}, "b": {"k": [1]}}
    assert isinstance(value, dict)
    assert value["a"] is not value["b"]


def test_merge_keys_give_way_to_what_is_written_beside_them() -> None:
    text = "x-a: &a {p: 1, q: 1}\nx-b: &b {q: 2, r: 2}\nc: {<<: [*a, *b], p: 3}\nd: {<<: *b}\n"
    value = read(text).value
    assert isinstance(value, dict)
    assert value["c"] == {"p": 3, "q": 1, "r": 2}
    assert value["d"] == {"q": 2, "r": 2}


def test_a_merged_mapping_may_merge_another_one() -> None:
    value = read("a: &a {p: 1}\nb: &b {<<: *a, q: 2}\nc: {<<: *b}\n").value
    assert isinstance(value, dict)
    assert value["c"] == {"q": 2, "p": 1}


def test_a_quoted_merge_sign_is_a_key() -> None:
    assert read("{'<<': 1}").value == {"<<": 1}


def test_a_key_that_stands_twice_is_said_with_both_lines() -> None:
    document = read("a: 1\nb: 2\na: 3\n")
    assert document.value == {"a": 1, "b": 2}
    assert [str(problem) for problem in document.problems] == [
        "OL103 w.yaml:3 a: `a` stands twice, first on line 1. hint: remove one of the two"
    ]


def test_aliases_that_explode_are_refused_before_they_are_expanded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 40)]
    assert error_of("\n".join(lines)) == (
        "OL106 w.yaml:5: aliases expand to more than 100,000 values. hint: write out what is meant"
    )


def test_merges_that_explode_are_refused() -> None:
    lines = ["a0: &a0 {k: 1}", *(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 60))]
    assert error_of("\n".join(lines)).startswith("OL106")


def test_nesting_is_bounded_also_through_aliases() -> None:
    chain = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, MAX_DEPTH + 1))]
    assert "nested deeper than 64 levels" in error_of("\n".join(chain))
    assert error_of("[" * 100_000) == "OL106 w.yaml:1: nested deeper than 64 levels. hint: flatten it"


def test_an_alias_inside_its_own_anchor_is_refused() -> None:
    assert error_of("a: &a [1, *a]") == "OL106 w.yaml:1: *a holds itself. hint: remove the alias"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a: !!python/object/apply:os.system ['ls']",
            "OL105 w.yaml:1: the tag tag:yaml.org,2002:python/object/apply:os.system does not stand for what follows, or is "
            "not read. hint: remove the tag",
        ),
        (
            "a: !mine x",
            "OL105 w.yaml:1: the tag !mine does not stand for what follows, or is not read. hint: remove the tag",
        ),
        (
            "a: !!int x",
            "OL105 w.yaml:1: the tag tag:yaml.org,2002:int does not stand for what follows, or is not read. "
            "hint: remove the tag",
        ),
        ("a: .inf", "OL105 w.yaml:1: .inf is not a finite number. hint: put it in quotes if it is text"),
        ("a: .NaN", "OL105 w.yaml:1: .NaN is not a finite number. hint: put it in quotes if it is text"),
        ("rev: 12e4567", "OL105 w.yaml:1: 12e4567 is not a finite number. hint: put it in quotes if it is text"),
        ("[a]: 1", "OL105 w.yaml:1: a list or a mapping is used as a key. hint: keys are text"),
        (
            "a: {<<: 3}",
            "OL105 w.yaml:1: << merges something that is no mapping. hint: name an anchored mapping: <<: *name",
        ),
        ("a: *b", "OL101 w.yaml:1: not YAML: *b refers to no anchor before it. hint: write &b above"),
        (
            "a:\n\t- b",
            "OL101 w.yaml:2: not YAML: found character '\\t' that cannot start any token, while scanning for the next token. "
            "hint: indent with blanks, not with tabs",
        ),
        ("a: b: c", "OL101 w.yaml:1: not YAML: mapping values are not allowed here"),
        (
            "a: 1\n---\nb: 2\n",
            "OL101 w.yaml:3: more than one YAML document in the file. hint: remove the lines from `---` on",
        ),
        (
            "a: \x00",
            "OL101 w.yaml: not YAML: unacceptable character #x0000: special characters are not allowed. "
            "hint: remove the character",
        ),
    ],
)
def test_what_is_not_read_is_refused(text: str, message: str) -> None:
    assert error_of(text) == message
