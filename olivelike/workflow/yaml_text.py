"""YAML: text to nodes, with anchors, aliases and merge keys; tags construct nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from olivelike.errors import InputError, fail
from olivelike.workflow.nodes import MAX_DEPTH, Entry, MappingNode, Node, ScalarNode, mapping, sequence, too_deep
from olivelike.workflow.scalars import ScalarValue, resolve

_CORE = "tag:yaml.org,2002:"
_TAG_NAMES = {bool: "bool", int: "int", float: "float", type(None): "null", str: "str"}
_MERGE = "<<"


def parse_yaml(text: str, file: str) -> Node:
    """Parses one YAML document; an empty one is null.

    Only the parser's events of ruamel.yaml are used: what a scalar means is `scalars.resolve`, and nothing is constructed.

    Args:
        text: the text.
        file: its name, for errors.

    Raises:
        InputError: OL101 (not YAML), OL105 (a tag, a key that is no scalar, a number that is not finite), OL106.
    """
    try:
        return _Composer(YAML(typ="safe", pure=True).parse(text), file).document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        claim = ", ".join(str(part) for part in (error.problem, error.context) if part)
        place = f"{file}:{mark.line + 1}" if mark else file
        hint = "indent with blanks, not with tabs" if "\\t" in claim else ""
        raise fail(InputError, "OL101", f"not YAML: {claim}", place=place, hint=hint) from error
    except YAMLError as error:
        claim = f"not YAML: {str(error).splitlines()[0]}"
        raise fail(InputError, "OL101", claim, place=file, hint="remove the character") from error


class _Composer:
    """Builds nodes from a parser's events; an aliased node is shared, not copied."""

    def __init__(self, events: Iterator[Event], file: str) -> None:
        self._events = events
        self._file = file
        self._anchors: dict[str, Node] = {}
        self._open: set[str] = set()

    def document(self) -> Node:
        roots = [self._node(next(self._events), 1) for event in self._events if isinstance(event, DocumentStartEvent)]
        if len(roots) > 1:
            self._fail(
                "OL101", "more than one YAML document in the file", roots[1].line, "remove the lines from `---` on"
            )
        return roots[0] if roots else ScalarNode(None, "", 1)

    def _node(self, event: Event, depth: int) -> Node:
        line = event.start_mark.line + 1
        if depth > MAX_DEPTH:
            raise too_deep(line, self._file)
        if isinstance(event, AliasEvent):
            return self._alias(str(event.anchor), line)
        assert isinstance(event, NodeEvent)
        anchor = str(event.anchor or "")
        self._open.add(anchor)
        node = self._fresh(event, line, depth)
        self._open.discard(anchor)
        if anchor:
            self._anchors[anchor] = node
        return node

    def _fresh(self, event: NodeEvent, line: int, depth: int) -> Node:
        match event:
            case ScalarEvent():
                return self._scalar(event, line)
            case SequenceStartEvent():
                self._check_tag(event.tag, "seq", line)
                return sequence(list(self._items(depth)), line, self._file)
            case MappingStartEvent():
                self._check_tag(event.tag, "map", line)
                return mapping(list(self._entries(depth)), line, self._file)
        raise AssertionError(f"unexpected event {event!r}")

    def _alias(self, anchor: str, line: int) -> Node:
        if anchor in self._open:
            self._fail("OL106", f"*{anchor} holds itself", line, "remove the alias")
        if anchor not in self._anchors:
            self._fail("OL101", f"not YAML: *{anchor} refers to no anchor before it", line, f"write &{anchor} above")
        return self._anchors[anchor]

    def _items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self._events), SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _entries(self, depth: int) -> Iterator[Entry]:
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._node(event, depth + 1)
            line = event.start_mark.line + 1
            if not isinstance(key, ScalarNode):
                self._fail("OL105", "a list or a mapping is used as a key", line, "keys are text")
            plain = isinstance(event, ScalarEvent) and event.implicit[0]
            value = self._node(next(self._events), depth + 1)
            merge = plain and key.text == _MERGE
            if merge:
                self._check_merge(value, line)
            yield Entry(key.text, line, value, merge)

    def _check_merge(self, value: Node, line: int) -> None:
        merged = value.items if not isinstance(value, ScalarNode | MappingNode) else (value,)
        if not all(isinstance(node, MappingNode) for node in merged):
            self._fail("OL105", "<< merges something that is no mapping", line, "name an anchored mapping: <<: *name")

    def _scalar(self, event: ScalarEvent, line: int) -> ScalarNode:
        text = str(event.value)
        plain = resolve(text) if event.implicit[0] else text
        value = plain if event.tag in (None, "!") else self._tagged(str(event.tag), text, line)
        if isinstance(value, float) and not math.isfinite(value):
            self._fail("OL105", f"{text} is not a finite number", line, "put it in quotes if it is text")
        return ScalarNode(value, text, line)

    def _tagged(self, tag: str, text: str, line: int) -> ScalarValue:
        if tag == f"{_CORE}str":
            return text
        value = resolve(text)
        if isinstance(value, int) and not isinstance(value, bool) and tag == f"{_CORE}float":
            return float(value)
        self._check_tag(tag, _TAG_NAMES[type(value)], line)
        return value

    def _check_tag(self, tag: object, name: str, line: int) -> None:
        if tag not in (None, "!", f"{_CORE}{name}"):
            self._fail(
                "OL105", f"the tag {tag} does not stand for what follows, or is not read", line, "remove the tag"
            )

    def _fail(self, code: str, claim: str, line: int, hint: str) -> NoReturn:
        raise fail(InputError, code, claim, place=f"{self._file}:{line}", hint=hint)
