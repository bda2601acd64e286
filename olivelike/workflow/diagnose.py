"""Diagnoses: pydantic's errors as problems with a code, a place, the path that the user wrote, and a hint."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from olivelike.digest import Json
from olivelike.errors import Problem, nearest
from olivelike.workflow.document import COMMAND_LINE, KeyPath, Places, dotted
from olivelike.workflow.faults import CODE, Fault
from olivelike.workflow.schema import RESERVED, Workflow
from olivelike.workflow.section import Section
from olivelike.workflow.trace import Trace, trace

_EXPECTED: Mapping[str, tuple[str, str]] = {
    "int_type": ("a whole number", "8"),
    "int_parsing": ("a whole number", "8"),
    "int_from_float": ("a whole number", "8"),
    "float_type": ("a number", "0.5"),
    "float_parsing": ("a number", "0.5"),
    "bool_type": ("true or false", "true"),
    "bool_parsing": ("true or false", "true"),
    "string_type": ("text", '"text", with the quotes'),
    "tuple_type": ("a list", "[a, b]"),
    "list_type": ("a list", "[a, b]"),
    "dict_type": ("a mapping", "{key: value}"),
    "model_type": ("a mapping", "{key: value}"),
    "model_attributes_type": ("a mapping", "{key: value}"),
    "string_too_short": ("text that is not empty", "text"),
    "too_short": ("a list that is not empty", "[a]"),
}
"""pydantic's error types: what was expected, and an example that stands where the schema has none."""
_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_SPLIT = ", expected "


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One problem, with the path at which it was found."""

    problem: Problem
    path: KeyPath


def diagnose(error: ValidationError, document: Json, places: Places) -> tuple[Diagnosis, ...]:
    """Returns what is wrong with a workflow's document, in pydantic's order.

    Args:
        error: from validating the document against the schema.
        document: the plain values that were validated.
        places: where they stand.
    """
    faults = (fault for detail in error.errors(include_url=False) for fault in _faults(detail, document, Workflow))
    return tuple(Diagnosis(_problem(fault, places), fault.at) for fault in _joined(faults))


def config_problems(error: ValidationError, config: type[BaseModel]) -> Iterator[tuple[KeyPath, str, str, str]]:
    """Yields what is wrong with the configuration of a pass, metric or reader.

    Args:
        error: from validating it, or one value of it.
        config: the class it was validated against.

    Yields:
        the path inside the configuration, the code, the claim and the hint.
    """
    for fault in _joined(
        fault for detail in error.errors(include_url=False) for fault in _faults(detail, None, config)
    ):
        yield fault.at, fault.code, fault.claim, fault.hint


def _faults(detail: ErrorDetails, document: Json, root: type[BaseModel]) -> Iterator[Fault]:
    found = trace(detail["loc"], document, root)
    if detail["type"] == CODE:
        for fault in cast("tuple[Fault, ...]", detail["ctx"]["faults"]):
            yield replace(fault, at=(*found.path, *fault.at))
    else:
        yield _translated(detail, found)


def _joined(faults: Iterable[Fault]) -> Iterator[Fault]:
    """Makes one fault of those that the members of a union give for the same value."""
    known: dict[tuple[KeyPath, str], Fault] = {}
    for fault in faults:
        got, split, expected = fault.claim.partition(_SPLIT)
        key = (fault.at, got if split else fault.claim)
        if key not in known:
            known[key] = fault
        elif split and expected not in known[key].claim:
            known[key] = replace(known[key], claim=f"{known[key].claim} or {expected}")
    yield from known.values()


def _translated(detail: ErrorDetails, found: Trace) -> Fault:
    got = f"got {_shown(detail['input'])}"
    key = str(found.path[-1]) if found.path else ""
    kind = detail["type"]
    match kind:
        case "extra_forbidden" if found.path in {(name,) for name in RESERVED}:
            return Fault("OL109", f"`{key}` is not built yet", found.path, "remove it")
        case "extra_forbidden":
            return Fault("OL104", "unknown key", found.path, nearest(key, _keys(found.section)))
        case "missing" if isinstance(detail["input"], list | tuple):  # too few items where their number is fixed
            return Fault("OL105", _too_short(detail["input"], found), found.path, _example(key, found, ""))
        case "missing":
            return Fault("OL111", f"`{key}` is missing", found.path, _missing_hint(key, found, detail["input"]))
        case "int_from_float":
            low = math.floor(detail["input"])
            return Fault("OL105", f"{got}{_SPLIT}a whole number", found.path, f"write {low} or {low + 1}")
        case "literal_error" | "enum":
            return _not_among(detail, found, got)
        case "value_error" | "assertion_error":
            return Fault("OL105", detail["msg"].partition(", ")[2], found.path)
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return Fault("OL105", f"{got}{_SPLIT}{words} {detail['ctx'][bound]}", found.path, _example(key, found, ""))
    expected, example = _EXPECTED.get(kind, (detail["msg"].removeprefix("Input should be "), ""))
    return Fault("OL105", f"{got}{_SPLIT}{expected}", found.path, _example(key, found, example))


def _too_short(value: Sequence[object], found: Trace) -> str:
    """Returns the claim of a list with too few items where the schema fixes how many there are."""
    field = found.section.model_fields.get(str(found.path[0])) if found.path else None
    shapes = (field.annotation, *get_args(field.annotation)) if field else ()
    lengths = [len(get_args(shape)) for shape in shapes if get_origin(shape) is tuple]
    expected = f"a list of {lengths[0]}" if lengths else "a longer list"
    return f"got a list of {len(value)}{_SPLIT}{expected}"


def _not_among(detail: ErrorDetails, found: Trace, got: str) -> Fault:
    listed = str(detail["ctx"]["expected"]).replace(" or ", ", ").split(", ")
    names = [name for name in (name.strip("'") for name in listed) if name]
    hint = nearest(str(detail["input"]), names)
    close = hint.startswith("did")
    return Fault(
        "OL105",
        f"{got}{_SPLIT}{' or '.join(names)}",
        found.path,
        hint if close else _example(str(found.path[-1]) if found.path else "", found, names[0]),
    )


def _keys(section: type[BaseModel]) -> tuple[str, ...]:
    return section.written_keys() if issubclass(section, Section) else tuple(section.model_fields)


def _missing_hint(key: str, found: Trace, got: object) -> str:
    own = got.get("own") if isinstance(got, Mapping) else None
    if isinstance(own, Mapping) and (close := get_close_matches(key, map(str, own), n=1, cutoff=0.6)):
        return f"did you mean {key} by `{close[0]}`?"
    return f"for example {key}: {found.example}" if found.example else f"add `{key}`"


def _example(key: str, found: Trace, otherwise: str) -> str:
    example = found.example or otherwise
    if not example:
        return ""
    return f"for example {key}: {example}" if key and isinstance(found.path[-1], str) else f"for example {example}"


def _shown(value: object) -> str:
    """Shows a value with its kind in the user's words; a long one is cut."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str():
            return f"the text {_cut(repr(value))}"
        case Mapping():
            return f"a mapping with {', '.join(map(str, list(value)[:3]))}" if value else "an empty mapping"
        case list() | tuple():
            return f"a list of {len(value)}" if value else "an empty list"
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _problem(fault: Fault, places: Places) -> Problem:
    place = places.at(fault.at)
    code = "OL113" if fault.code == "OL104" and place == COMMAND_LINE else fault.code
    return Problem(code, fault.claim, place, dotted(fault.at), fault.hint)
