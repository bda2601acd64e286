"""What passes noted of a model, a line for each: small things are spelled out, of tables it says how long they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from olivelike.digest import Json

SPELLED_OUT = 6


def noted_lines(notes: Mapping[str, Json]) -> Iterator[str]:
    """Yields a line for each pass that noted something.

    >>> list(noted_lines({"fuse": {"found": {"Attention": 4}, "left": {}}, "mine": {"nodes": [1] * 30}}))
    ['noted by fuse: found Attention 4', 'noted by mine: nodes (30 entries)']
    """
    for name, note in notes.items():
        text = _text(note)
        if text:
            yield f"noted by {name}: {text}"


def _text(note: Json) -> str:
    if not isinstance(note, Mapping):
        return _inner(note)
    parts = [(key, _inner(value)) for key, value in note.items()]
    return ", ".join(f"{key} {text}" for key, text in parts if text)


def _inner(value: Json) -> str:
    match value:
        case Mapping() | list():
            inner = [f"{key} {each}" for key, each in value.items()] if isinstance(value, Mapping) else map(str, value)
            held = value.values() if isinstance(value, Mapping) else value
            spelled = len(value) <= SPELLED_OUT and not any(isinstance(each, Mapping | list) for each in held)
            return "; ".join(inner) if spelled else f"({len(value)} entries)"
        case None | "":
            return ""
        case _:
            return str(value)
