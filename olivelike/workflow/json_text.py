"""JSON: text to the same nodes as YAML gives, with line numbers; duplicate keys are kept for the reader to report."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from typing import NoReturn

from olivelike.errors import InputError, fail
from olivelike.workflow.nodes import MAX_DEPTH, Entry, Node, ScalarNode, mapping, sequence, too_deep
from olivelike.workflow.scalars import ScalarValue

_BLANK = re.compile(r"[ \t\n\r]*")


def parse_json(text: str, file: str) -> Node:
    """Parses one JSON document.

    Args:
        text: the text.
        file: its name, for errors.

    Raises:
        InputError: OL101 (not JSON), OL106 (nested too deeply).
    """
    return _Reader(text, file).document()


class _Reader:
    """Walks the text once; scalars are left to the json module."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._decoder = json.JSONDecoder(parse_constant=self._constant)

    def document(self) -> Node:
        node = self._node(1)
        if self._peek():
            self._fail("something follows the document's end")
        return node

    def _node(self, depth: int) -> Node:
        sign = self._peek()
        line = self._line()
        if depth > MAX_DEPTH:
            raise too_deep(line, self._file)
        if sign == "{":
            return mapping(self._entries(depth), line, self._file)
        if sign == "[":
            return sequence(self._items(depth), line, self._file)
        start = self._at
        value = self._scalar()
        return ScalarNode(value, self._text[start : self._at], line)

    def _items(self, depth: int) -> list[Node]:
        self._at += 1
        items: list[Node] = []
        while self._more("]", first=not items):
            items.append(self._node(depth + 1))
        return items

    def _entries(self, depth: int) -> list[Entry]:
        self._at += 1
        entries: list[Entry] = []
        while self._more("}", first=not entries):
            if self._peek() != '"':
                self._fail("expected a key in double quotes")
            line, key = self._line(), self._scalar()
            if self._peek() != ":":
                self._fail("expected a colon after the key")
            self._at += 1
            entries.append(Entry(str(key), line, self._node(depth + 1)))
        return entries

    def _more(self, end: str, *, first: bool) -> bool:
        sign = self._peek()
        if sign == end:
            self._at += 1
            return False
        if not first:
            if sign != ",":
                self._fail(f"expected a comma or {end}")
            self._at += 1
        return True

    def _scalar(self) -> ScalarValue:
        try:
            value, self._at = self._decoder.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            self._at = min(error.pos, len(self._text))
            self._fail(error.msg[0].lower() + error.msg[1:])
        except ValueError:
            self._fail("a number with more digits than can be read")
        if value in (float("inf"), float("-inf")):
            self._fail("a number that is not finite")
        assert value is None or isinstance(value, str | int | float)
        return value

    def _constant(self, name: str) -> NoReturn:
        self._fail(f"{name} is not JSON")

    def _peek(self) -> str:
        match = _BLANK.match(self._text, self._at)
        assert match is not None
        self._at = match.end()
        return self._text[self._at : self._at + 1]

    def _line(self) -> int:
        return bisect_right(self._starts, self._at)

    def _fail(self, claim: str) -> NoReturn:
        raise fail(InputError, "OL101", f"not JSON: {claim}", place=f"{self._file}:{self._line()}")
