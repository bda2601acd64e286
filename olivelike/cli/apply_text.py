"""What a pass changed, as text: sizes, versions, and what it noted, in a few lines."""

from __future__ import annotations

from collections.abc import Iterator

from olivelike.digest import Json
from olivelike.engine.applied import Applied, Change, changes

MOST = 8
"""Entries of a note that are shown."""
LONGEST = 200
"""Characters of a note that are shown."""
UNTOLD = "no metrics: nothing is measured"
"""A note of every workflow without metrics; a pass that is applied has none."""


def applied_lines(found: Applied) -> Iterator[str]:
    """Yields what was made of a model; nothing is made where there are problems, which are said elsewhere."""
    if found.problems:
        return
    if found.change:
        yield from change_lines(found.name, found.change)
    for choice in found.report.chosen:
        if choice.path:
            cached = "from the cache, " if found.report.cost.steps_cached and not found.report.cost.steps_run else ""
            yield f"written to {choice.path} ({cached}{found.report.cost.seconds:.1f} s)"
    for note in found.report.notes:
        if note != UNTOLD:
            yield f"note: {note}"


def change_lines(name: str, change: Change) -> Iterator[str]:
    """Yields the change in numbers, versions that changed, and the pass's notes, a line for each entry."""
    before, after = change.before, change.after
    told = [f"bytes {before.bytes:,} -> {after.bytes:,}"]
    if before.is_onnx and after.is_onnx:
        told.insert(0, f"nodes {before.nodes:,} -> {after.nodes:,}")
        told += [
            f"opset {domain} {old or 'none'} -> {new or 'none'}"
            for domain, old, new in changes(before.opsets, after.opsets)
        ]
        if before.ir_version != after.ir_version:
            told.append(f"IR version {before.ir_version} -> {after.ir_version}")
    elif before.kind != after.kind:
        told.insert(0, f"{before.kind} -> {after.kind}")
    yield f"{name}: {'; '.join(told)}"
    for note in change.notes.values():
        yield from (f"  {line}" for line in note_lines(note))


def note_lines(note: Json) -> Iterator[str]:
    """Yields what a pass noted, a line for each entry that says something.

    >>> list(note_lines({"fused": {"Gelu": 2, "LayerNormalization": 3}, "near": {}, "made_way": {}}))
    ['fused: Gelu 2, LayerNormalization 3']
    """
    if not isinstance(note, dict):
        yield _cut(_short(note))
        return
    for name, value in note.items():
        if text := _short(value):
            yield _cut(f"{name.replace('_', ' ')}: {text}")


def _short(value: Json) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return ""
        case dict():
            return _some([_named(name, inner) for name, inner in value.items()])
        case list():
            return _some([_short(inner) for inner in value])
        case _:
            return str(value)


def _named(name: str, value: Json) -> str:
    return f"{name} ({_short(value)})" if isinstance(value, dict | list) else f"{name} {_short(value)}"


def _some(texts: list[str]) -> str:
    rest = len(texts) - MOST
    return ", ".join(texts[:MOST]) + (f" and {rest} more" if rest > 0 else "")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
