"""Repairs: what is wrong and can be left out is left out, so that the rest of the file is judged in the same go."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from olivelike.digest import Json
from olivelike.errors import Problem
from olivelike.workflow.diagnose import Diagnosis, diagnose
from olivelike.workflow.document import Document, KeyPath
from olivelike.workflow.schema import Workflow
from olivelike.workflow.section import WRITTEN

_REFERRED_TO = frozenset({"data", "metrics", "targets", "passes", "model", "constraints", "objectives", "target"})
"""Sections whose entries others name, or count on: leaving one out would make a sound part of the file look wrong."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """No workflow can be made of the file; the problems beside it say why."""


def validate(document: Document) -> tuple[Workflow | Unusable, tuple[Problem, ...]]:
    """Validates a document, again and again without what was found wrong, until it holds or nothing can be left out.

    Returns:
        the workflow, without its wrong keys, and all problems; follow-ons of a problem are not said.
    """
    found: list[Diagnosis] = []
    value = document.value
    while True:
        try:
            return Workflow.model_validate(value, context=WRITTEN), tuple(known.problem for known in found)
        except ValidationError as error:
            new = diagnose(error, document.value, document.places)
        for diagnosis in new:
            if not any(_follows_on(diagnosis.path, known.path) for known in found):
                found.append(diagnosis)
        rest = value
        for diagnosis in new:
            rest = _without(rest, _optional(diagnosis.path))
        if rest == value:
            return Unusable(), tuple(known.problem for known in found)
        value = rest


def _follows_on(new: KeyPath, known: KeyPath) -> bool:
    """Whether an error comes of another one: it is at or below its path, or misses at its parent what was left out."""
    return new[: len(known)] == known or (len(known) > 1 and new == known[:-1])


def _optional(path: KeyPath) -> KeyPath:
    """Returns the key to leave out for an error at a path: itself, or the key of the list it stands in; or none."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    if len(path) <= 2 and path and path[0] in _REFERRED_TO and not (len(path) == 2 and path[0] in ("model", "target")):
        return ()
    return () if path and path[-1] in ("name", "one_of") and path[0] == "passes" else path


def _without(value: Json, path: KeyPath) -> Json:
    """Returns a copy of a value without one key; the value itself where there is no such key."""
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(value, dict) and head in value:
        if rest:
            return {**value, head: _without(value[str(head)], rest)}
        return {key: item for key, item in value.items() if key != head}
    if isinstance(value, list) and isinstance(head, int) and head < len(value) and rest:
        return [_without(item, rest) if index == head else item for index, item in enumerate(value)]
    return value
