"""Overrides: `KEY=VALUE` from the command line, put into a document before it is validated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from olivelike.digest import Json
from olivelike.errors import InputError, fail, nearest
from olivelike.workflow.document import COMMAND_LINE, Document, KeyPath, Places, dotted, expand
from olivelike.workflow.schema import Workflow
from olivelike.workflow.steps import ENGINE_KEYS, NONE, ONE_OF
from olivelike.workflow.yaml_text import parse_yaml

_NAMED = frozenset({"data", "metrics", "targets"})
"""Sections whose keys are the user's names: an override changes an entry and adds none."""


def override(document: Document, overrides: Sequence[str]) -> Document:
    """Returns a document with every override applied; one that fits nothing is a problem (OL113) and changes nothing.

    `search.max_trials=5` sets a key, `constraints.0.max_drop=2%` one of a list's entry, and `passes.STEP.PARAMETER=VALUE` a
    parameter of the step of that name, at any depth. VALUE is read as YAML.

    Args:
        document: with a mapping as its value.
        overrides: as written on the command line; later ones win.
    """
    for text in overrides:
        try:
            document = _applied(document, text)
        except InputError as error:
            document = Document(document.value, document.places, (*document.problems, *error.problems))
    return document


def _applied(document: Document, text: str) -> Document:
    key, equals, written = text.partition("=")
    if not equals or not key:
        raise _unfit(f"got {text!r}, expected KEY=VALUE", "", "for example search.max_trials=5")
    path = _resolved(document.value, key.split("."))
    value = expand(parse_yaml(written, COMMAND_LINE), COMMAND_LINE).value
    places = document.places
    lines = {known: line for known, line in places.lines.items() if known[: len(path)] != path}
    moved = Places(places.file, lines, places.overridden | {path})
    return Document(_with(document.value, path, value, ()), moved, document.problems)


def _resolved(document: Json, parts: Sequence[str]) -> KeyPath:
    """Finds the path that a key means; names of steps become their place in the file."""
    if parts[0] not in Workflow.model_fields:
        raise _unfit("unknown key", parts[0], nearest(parts[0], Workflow.model_fields))
    section = document.get(parts[0]) if isinstance(document, Mapping) else None
    if parts[0] in _NAMED and len(parts) > 1 and not (isinstance(section, Mapping) and parts[1] in section):
        known = section if isinstance(section, Mapping) else ()
        raise _unfit(f"no entry of `{parts[0]}` is called `{parts[1]}`", ".".join(parts), nearest(parts[1], known))
    if parts[0] == "passes" and len(parts) > 1 and not parts[1].isdigit():
        return _in_step(section, parts)
    return _indexed(document, parts)


def _in_step(passes: Json, parts: Sequence[str]) -> KeyPath:
    steps = {step.name: step for step in _steps(passes, ("passes",))}
    if parts[1] not in steps:
        raise _unfit(f"no step is called `{parts[1]}`", ".".join(parts), nearest(parts[1], steps))
    if len(parts) < 3:
        raise _unfit("a step is no value", ".".join(parts), f"for example {'.'.join(parts)}.PARAMETER=VALUE")
    return (*steps[parts[1]].path, *_indexed(steps[parts[1]].value, parts[2:]))


@dataclass(frozen=True, slots=True)
class _Step:
    """A step in the raw document: where its parameters (those of a choice: its keys) stand, and what stands there."""

    name: str
    path: KeyPath
    value: Json


def _steps(steps: Json, path: KeyPath) -> Iterator[_Step]:
    for index, step in enumerate(steps if isinstance(steps, list) else [steps]):
        here = (*path, index) if isinstance(steps, list) else path
        if step == NONE:
            continue
        if isinstance(step, str):
            yield _Step(step, (*here, step), None)
        elif isinstance(step, dict) and ONE_OF in step:
            yield _Step(str(step.get("name", "")), here, step)
            alternatives = step[ONE_OF]
            for number, member in enumerate(alternatives if isinstance(alternatives, list) else []):
                yield from _steps(member, (*here, ONE_OF, number))
        elif isinstance(step, dict):
            for key in [key for key in step if key not in ENGINE_KEYS][:1]:
                yield _Step(str(step.get("name", key)), (*here, key), step[key])


def _indexed(document: Json, parts: Sequence[str]) -> KeyPath:
    """Turns numbers into positions where the document has a list, and checks them."""
    path: list[str | int] = []
    here = document
    for part in parts:
        if isinstance(here, list):
            if not part.isdigit() or int(part) >= len(here):
                claim = f"no entry {part} in a list of {len(here)}"
                raise _unfit(
                    claim, ".".join(parts), f"positions are 0 to {len(here) - 1}" if here else "the list is empty"
                )
            path.append(int(part))
            here = here[int(part)]
        else:
            path.append(part)
            here = here.get(part) if isinstance(here, Mapping) else None
    return tuple(path)


def _with(document: Json, path: KeyPath, value: Json, done: KeyPath) -> Json:
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(document, list) and isinstance(head, int):
        return [_with(item, rest, value, (*done, head)) if at == head else item for at, item in enumerate(document)]
    if document is None:
        document = {}
    if isinstance(document, str) and document == head:  # a bare step, `simplify`, is `simplify: {}`
        document = {document: {}}
    if not isinstance(document, dict):
        raise _unfit(
            f"`{dotted(done)}` holds {document!r}, which has no keys", dotted((*done, *path)), "set it as a whole"
        )
    return {**document, str(head): _with(document.get(str(head)), rest, value, (*done, head))}


def _unfit(claim: str, path: str, hint: str) -> InputError:
    raise fail(InputError, "OL113", claim, place=COMMAND_LINE, path=path, hint=hint)
