"""Traces: from the place where pydantic found an error to the path in the file, in the user's terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Literal, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel

from olivelike.digest import Json
from olivelike.workflow.document import KeyPath
from olivelike.workflow.goals import DIRECTIONS, RULES, ConstraintSection, ObjectiveSection
from olivelike.workflow.section import MAPPING_TAG, NAMED_TAG, TEXT_TAG, Section
from olivelike.workflow.steps import ENGINE_KEYS, StepSection

Location: TypeAlias = "Sequence[str | int]"

_SEVERAL = object()
"""Stands for a union of which no member is a section."""
_NO_KEYS = frozenset({MAPPING_TAG, NAMED_TAG, TEXT_TAG, "[key]"})


@dataclass(frozen=True, slots=True)
class Trace:
    """Where an error is.

    Attributes:
        path: in the file, in the user's terms.
        section: the section that holds the key, or that the error is about.
        example: what the schema gives as an example of the key's value, as YAML; or empty.
    """

    path: KeyPath
    section: type[BaseModel]
    example: str = ""


def trace(location: Location, document: Json, root: type[BaseModel]) -> Trace:
    """Follows an error's location through the schema and the document at once.

    Attributes that no file has (`own`, `config`, `rule`, ...) become the key that was written, and the position inside an
    alternative that is no list disappears.

    Args:
        location: pydantic's `loc`.
        document: the plain values that were validated; null where no attribute is renamed.
        root: the class that they were validated against.
    """
    path: list[str | int] = []
    section: type[BaseModel] = root
    shape: object = root
    example = ""
    for part in location:
        if part in _NO_KEYS:
            continue
        if shape is _SEVERAL:  # what follows names a member of the union, or lies inside one
            break
        here = _at(document, path)
        if isinstance(shape, type) and issubclass(shape, BaseModel):
            section = shape
            path += _written(section, str(part), here)
            example = _example(section, str(part))
            shape = _plain(section.model_fields[str(part)].annotation) if part in section.model_fields else object
        else:
            if not (isinstance(part, int) and _is_single(path, document)):
                path.append(part)
            shape = _plain(get_args(shape)[-1] if get_origin(shape) is dict else next(iter(get_args(shape)), object))
            example = ""
        if isinstance(shape, type) and issubclass(shape, BaseModel) and part == location[-1]:
            section = shape
    return Trace(tuple(path), section, example)


def _at(document: Json, path: Sequence[str | int]) -> Json:
    """Returns the value at a path; null where the document has none."""
    here: Json = document
    for part in path:
        match here, part:
            case Mapping(), _ if part in here:
                here = here[str(part)]
            case list(), int() if part < len(here):
                here = here[part]
            case _:
                return None
    return here


def _written(section: type[BaseModel], field: str, here: Json) -> list[str]:
    keys = list(here) if isinstance(here, Mapping) else []
    if section is StepSection and field in ("config", "pass_name"):
        return [key for key in keys if key not in ENGINE_KEYS][:1]
    if section is ConstraintSection and field in ("rule", "amount"):
        return [key for key in keys if key in RULES][:1]
    if section is ObjectiveSection and field in ("metric", "direction"):
        return [key for key in keys if key in DIRECTIONS][:1]
    if issubclass(section, Section) and field in section.internal:
        return []
    return [field]


def _is_single(path: Sequence[str | int], document: Json) -> bool:
    """Whether the path is that of an alternative written as one step, so that the step has no index of its own."""
    return (
        len(path) > 2
        and path[-2] == "one_of"
        and isinstance(path[-1], int)
        and not isinstance(_at(document, path), list)
    )


def _example(section: type[BaseModel], field: str) -> str:
    info = section.model_fields.get(field)
    if info is None:
        return ""
    if info.examples:
        return str(info.examples[0])
    match info.default:
        case bool():
            return str(not info.default).lower()
        case int() | str() if info.default:
            return str(info.default)
    return ""


def _plain(annotation: object) -> object:
    """Strips `Annotated`, and of a union keeps the section, which is the only member that has parts."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        members = [_plain(member) for member in get_args(annotation)]
        return next((m for m in members if isinstance(m, type) and issubclass(m, BaseModel)), _SEVERAL)
    return object if get_origin(annotation) is Literal else annotation
