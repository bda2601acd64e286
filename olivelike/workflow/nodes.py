"""Nodes: a parsed text before aliases are expanded; every node knows its line and how large its expansion would be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from olivelike.errors import InputError, fail
from olivelike.workflow.scalars import ScalarValue

MAX_NODES = 100_000
MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """Text, a number, a boolean or null; `text` is how it was written."""

    value: ScalarValue
    text: str
    line: int
    size: int = field(default=1, init=False)
    depth: int = field(default=1, init=False)


@dataclass(frozen=True, slots=True)
class SequenceNode:
    """A list."""

    items: tuple[Node, ...]
    line: int
    size: int
    depth: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a mapping with its line and its node; a merge entry (`<<`) stands for the entries of its node."""

    key: str
    line: int
    node: Node
    merge: bool = False


@dataclass(frozen=True, slots=True)
class MappingNode:
    """A mapping, its entries in the order of the text."""

    entries: tuple[Entry, ...]
    line: int
    size: int
    depth: int


Node: TypeAlias = ScalarNode | SequenceNode | MappingNode


def sequence(items: list[Node], line: int, file: str) -> SequenceNode:
    """Returns a list node, its expanded size known.

    Raises:
        InputError: OL106, it would expand to more than a workflow can hold.
    """
    return SequenceNode(tuple(items), line, *_extent(items, line, file))


def mapping(entries: list[Entry], line: int, file: str) -> MappingNode:
    """Returns a mapping node, its expanded size known.

    Raises:
        InputError: OL106, it would expand to more than a workflow can hold.
    """
    return MappingNode(tuple(entries), line, *_extent([entry.node for entry in entries], line, file))


def too_deep(line: int, file: str) -> InputError:
    """Returns the error of a text whose lists and mappings are nested too deeply."""
    claim = f"nested deeper than {MAX_DEPTH} levels"
    raise fail(InputError, "OL106", claim, place=f"{file}:{line}", hint="flatten it")


def _extent(children: list[Node], line: int, file: str) -> tuple[int, int]:
    size = 1 + sum(child.size for child in children)
    depth = 1 + max((child.depth for child in children), default=0)
    if size > MAX_NODES:
        claim = f"aliases expand to more than {MAX_NODES:,} values"
        raise fail(InputError, "OL106", claim, place=f"{file}:{line}", hint="write out what is meant")
    if depth > MAX_DEPTH:
        raise too_deep(line, file)
    return size, depth
