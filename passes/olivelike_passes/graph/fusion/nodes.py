"""A node's attributes by their type, and what an absent one means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from olivelike_passes.graph.fusion.dims import Shape

if TYPE_CHECKING:
    from onnx import AttributeProto, NodeProto


def whole(node: NodeProto, name: str, default: int) -> int:
    """Returns an attribute that is one integer."""
    found = _named(node, name)
    return default if found is None else int(found.i)


def wholes(node: NodeProto, name: str, default: Sequence[int] = ()) -> tuple[int, ...]:
    """Returns an attribute that is a list of integers."""
    found = _named(node, name)
    return tuple(default) if found is None else tuple(found.ints)


def real(node: NodeProto, name: str, default: float) -> float:
    """Returns an attribute that is one float."""
    found = _named(node, name)
    return default if found is None else float(found.f)


def word(node: NodeProto, name: str, default: str) -> str:
    """Returns an attribute that is a string."""
    found = _named(node, name)
    return default if found is None else str(found.s.decode())


def axes_of(node: NodeProto, contents: Mapping[str, Shape]) -> tuple[int, ...]:
    """Returns the axes that a node works on, which are an attribute or, in later opsets, a second input.

    Empty where it has none, or where they are not known.
    """
    if len(node.input) > 1 and node.input[1]:
        given = contents.get(node.input[1], ())
        axes = tuple(axis for axis in given if isinstance(axis, int))
        return axes if len(axes) == len(given) else ()
    return wholes(node, "axes")


def is_standard(node: NodeProto) -> bool:
    """Whether a node is of ONNX's own operator set."""
    return node.domain in ("", "ai.onnx")


def _named(node: NodeProto, name: str) -> AttributeProto | None:
    return next((entry for entry in node.attribute if entry.name == name), None)
