"""The names of a model's values: which a graph has, which the model uses anywhere, and free ones for what is added."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from olivelike.onnxfile.walk import graphs

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto


def values_of(graph: GraphProto) -> list[str]:
    """Returns the names of the values that a graph has itself: given, held or made; each once, in that order."""
    found = [entry.name for entry in graph.input] + [tensor.name for tensor in graph.initializer]
    found += [sparse.values.name for sparse in graph.sparse_initializer]
    return list(dict.fromkeys(found + [name for node in graph.node for name in node.output if name]))


def all_names(model: ModelProto) -> set[str]:
    """Returns every name that a value has, is read by or is spoken of by, in any graph; functions have their own."""
    found: set[str] = set()
    for graph in graphs(model):
        found.update(values_of(graph))
        for node in graph.node:
            found.update(node.input)
        found.update(entry.name for entry in (*graph.output, *graph.value_info))
    return found


class Names:
    """Names that are taken, and free ones close to those wanted; linear in the names asked for, however many are alike.

    >>> names = Names(["x", "x_1"])
    >>> names.fresh("x"), names.fresh("x"), names.fresh("y"), names.numbered("y", 0)
    ('x_2', 'x_3', 'y', 'y_0')
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._next: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        """Whether a name is taken."""
        return name in self._taken

    def take(self, name: str) -> None:
        """Says that a name is taken from now on."""
        self._taken.add(name)

    def fresh(self, wanted: str) -> str:
        """Returns this name, or a number after it where it is taken or empty, and takes it."""
        if not wanted or wanted in self._taken:
            return self.numbered(wanted)
        self._taken.add(wanted)
        return wanted

    def numbered(self, stem: str, start: int = 1) -> str:
        """Returns a name made of a stem and the first number that is free from `start` on, and takes it."""
        number = self._next.get(stem, start)
        while f"{stem}_{number}" in self._taken:
            number += 1
        self._next[stem] = number + 1
        self._taken.add(f"{stem}_{number}")
        return f"{stem}_{number}"
