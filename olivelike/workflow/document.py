"""A document: the plain values of a workflow file, where each of them stands, and the keys that stand twice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TypeAlias, assert_never

from olivelike.digest import Json
from olivelike.errors import Problem
from olivelike.workflow.nodes import MAX_DEPTH, Entry, MappingNode, Node, ScalarNode, SequenceNode

KeyPath: TypeAlias = tuple[str | int, ...]

COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Places:
    """Where in the user's file a path stands; an override stands on the command line."""

    file: str = ""
    lines: dict[KeyPath, int] = field(default_factory=dict)
    overridden: set[KeyPath] = field(default_factory=set)

    def at(self, path: KeyPath) -> str:
        """Returns `file:line` of a path or of its closest known ancestor; empty where there is no file."""
        if any(path[:length] in self.overridden for length in range(len(path) + 1)):
            return COMMAND_LINE
        return f"{self.file}:{line}" if (line := self.line(path)) else ""

    def line(self, path: KeyPath) -> int:
        """Returns the line of a path or of its closest known ancestor; 0 where there is no file."""
        return next((self.lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.lines), 0)


@dataclass(frozen=True, slots=True)
class Document:
    """A text's values, with their places and what was wrong with the text.

    Attributes:
        value: plain JSON, aliases and merges expanded, every part its own copy.
        places: where the values stand.
        problems: keys that stand twice (OL103; the first one is kept), values that are no JSON (OL105).
    """

    value: Json
    places: Places
    problems: tuple[Problem, ...] = ()


def expand(root: Node, file: str) -> Document:
    """Expands a node into plain values, in one walk."""
    walk = _Walk(Places(file))
    value = walk.value(root, ())
    return Document(value, walk.places, tuple(walk.problems))


def plain(mapping: Mapping[str, object]) -> Document:
    """Copies a mapping made in code: tuples become lists, paths text; what is no JSON is a problem and becomes null."""
    problems: list[Problem] = []
    return Document(_plain(mapping, (), problems), Places(), tuple(problems))


def dotted(path: KeyPath) -> str:
    """Returns a path as users read it: `passes.0.static_quant.format`."""
    return ".".join(map(str, path))


class _Walk:
    """One walk over the nodes, gathering lines and problems."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.problems: list[Problem] = []

    def value(self, node: Node, path: KeyPath) -> Json:
        self.places.lines.setdefault(path, node.line)
        match node:
            case ScalarNode(value=value):
                return value
            case SequenceNode(items=items):
                return [self.value(item, (*path, index)) for index, item in enumerate(items)]
            case MappingNode():
                return self._mapping(node, path)
            case _ as never:
                assert_never(never)

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Json]:
        entries: dict[str, Entry] = {}
        for entry in node.entries:
            if not entry.merge and entries.setdefault(entry.key, entry) is not entry:
                self._twice(entries[entry.key], entry, (*path, entry.key))
        for entry in _merged(node):
            entries.setdefault(entry.key, entry)
        return {key: self._entry(entry, (*path, key)) for key, entry in entries.items()}

    def _entry(self, entry: Entry, path: KeyPath) -> Json:
        self.places.lines[path] = entry.line
        return self.value(entry.node, path)

    def _twice(self, first: Entry, second: Entry, path: KeyPath) -> None:
        claim = f"`{second.key}` stands twice, first on line {first.line}"
        place = f"{self.places.file}:{second.line}"
        self.problems.append(Problem("OL103", claim, place, dotted(path), "remove one of the two"))


def _merged(node: MappingNode) -> Iterator[Entry]:
    """Yields what the merge keys of a mapping add; of equal keys the earlier one counts (yaml.org/type/merge.html)."""
    for entry in node.entries:
        if entry.merge:
            sources = entry.node.items if isinstance(entry.node, SequenceNode) else (entry.node,)
            for source in sources:
                assert isinstance(source, MappingNode)
                yield from (own for own in source.entries if not own.merge)
                yield from _merged(source)


def _plain(value: object, path: KeyPath, problems: list[Problem]) -> Json:
    match value:
        case _ if len(path) > MAX_DEPTH:
            claim = f"nested deeper than {MAX_DEPTH} levels"
            problems.append(Problem("OL106", claim, "", dotted(path[:2]), "flatten it"))
            return None
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case PurePath():
            return str(value)
        case Mapping():
            return {str(key): _plain(item, (*path, str(key)), problems) for key, item in value.items()}
        case Sequence() if not isinstance(value, bytes | bytearray):
            return [_plain(item, (*path, index), problems) for index, item in enumerate(value)]
    claim = f"got {value!r}, which is no JSON value"
    problems.append(Problem("OL105", claim, "", dotted(path), "use text, numbers, lists and mappings"))
    return None
