"""What `diff` found, as lines of text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from olivelike.cli.drawing import counted, drawn, escaped
from olivelike.contracts.figures import value_text
from olivelike.engine.difference.apart import Apart, NotCompared
from olivelike.engine.difference.structure import Change

if TYPE_CHECKING:
    from rich.console import Console

    from olivelike.engine.difference.diff import Difference
    from olivelike.engine.difference.structure import Nodes
    from olivelike.engine.difference.values import Layer, Values
    from olivelike.engine.difference.weights import WeightChanges

MOST = 12
MOST_NAMES = 6
LONGEST = 80


def difference_lines(found: Difference, console: Console) -> Iterator[str]:
    """Yields what differs: sizes, header, inputs and outputs, nodes, weights, outputs, inner values."""
    yield f"A {found.first.file}: {value_text(found.first.bytes, 'bytes')}"
    yield f"B {found.second.file}: {value_text(found.second.bytes, 'bytes')}"
    for change in found.header:
        yield _change(change)
    yield from map(_change, found.signature)
    if not found.signature:
        yield "inputs and outputs: the same"
    yield from _nodes(found.nodes)
    yield from _weights(found.weights)
    yield from _values(found.values, console)


def _change(change: Change) -> str:
    first, second = (_short(text) or "none" for text in (change.first, change.second))
    return f"{change.name}: {first} -> {second}"


def _nodes(nodes: Nodes) -> Iterator[str]:
    if not nodes.differ:
        yield f"nodes: all {nodes.first} the same"
        return
    yield f"nodes: {nodes.first} in A, {nodes.second} in B, {nodes.same} the same"
    for count in nodes.types[:MOST]:
        yield f"  {count.name}: {count.first} -> {count.second}"
    yield from _more(len(nodes.types) - MOST, "operators")
    yield from _listed("only in A", nodes.removed)
    yield from _listed("only in B", nodes.added)
    for change in nodes.changed[:MOST]:
        yield f"  changed {_change(change)}"
    yield from _more(len(nodes.changed) - MOST, "changed nodes")


def _weights(weights: WeightChanges) -> Iterator[str]:
    sizes = f"{value_text(weights.first_bytes, 'bytes')} in A, {value_text(weights.second_bytes, 'bytes')} in B"
    if not weights.differ:
        yield f"weights: all {weights.same} the same, {value_text(weights.first_bytes, 'bytes')}"
        return
    yield f"weights: {sizes}, {weights.same} the same"
    yield from _listed("only in A", {name: str(weight) for name, weight in weights.removed.items()})
    yield from _listed("only in B", {name: str(weight) for name, weight in weights.added.items()})
    for changed in weights.changed[:MOST]:
        told = "other values" if changed.what == "values" else f"{changed.first} -> {changed.second}"
        yield f"  changed {changed.name}: {told}"
    yield from _more(len(weights.changed) - MOST, "changed weights")
    for first, second in list(weights.renamed.items())[:MOST]:
        yield f"  renamed {first} -> {second}"
    yield from _more(len(weights.renamed) - MOST, "renamed weights")


def _listed(where: str, names: Mapping[str, str]) -> Iterator[str]:
    if names:
        shown = ", ".join(f"{name} ({kind})" for name, kind in list(names.items())[:MOST_NAMES])
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        yield f"  {where}: {shown}{more}"


def _more(count: int, what: str) -> Iterator[str]:
    if count > 0:
        yield f"  and {count} more {what}"


def _values(values: Values, console: Console) -> Iterator[str]:
    if values.reason:
        yield f"outputs not compared: {values.reason}"
        return
    yield ""
    found = [(each.name, each) for each in values.outputs]
    if len(found) > MOST:
        found.sort(key=lambda each: -each[1].relative if isinstance(each[1], Apart) else -math.inf)
    yield from _table(f"output, {counted(values.samples, 'sample')}", found[:MOST], console)
    yield from _more(len(found) - MOST, "outputs, no further apart")
    if values.layers:
        yield ""
        yield from _layers(values.layers, console)


def _layers(layers: Sequence[Layer], console: Console) -> Iterator[str]:
    """Yields the inner values that are furthest apart, and where in the graph it begins."""
    apart = [(layer, layer.value) for layer in layers if isinstance(layer.value, Apart)]
    unlike = [(layer, value) for layer, value in apart if not value.equal]
    many = counted(len(layers), "inner value")
    yield f"{many} of the same name in both: {len(apart) - len(unlike)} are equal on the first batch"
    if unlike and unlike[0] != apart[0]:
        yield f"the first that differs: {unlike[0][1].name}"
    worst = sorted(unlike, key=lambda each: (each[0].first != each[0].second, -each[1].relative))
    rows: list[tuple[str, Apart | NotCompared]] = [(_made(layer), value) for layer, value in worst[:MOST]]
    if rows:
        yield from _table("furthest apart", rows, console)
    yield from _more(len(worst) - MOST, "that differ")
    other = [(layer.value.name, layer.value) for layer in layers if isinstance(layer.value, NotCompared)]
    yield from _reasons(other[:MOST_NAMES])
    yield from _more(len(other) - MOST_NAMES, "that are not compared")


def _made(layer: Layer) -> str:
    """Returns an inner value's name, with the types of its nodes where they are not the same."""
    made = "" if layer.first == layer.second else f" ({layer.first} in A, {layer.second} in B)"
    return layer.value.name + made


def _table(title: str, values: Sequence[tuple[str, Apart | NotCompared]], console: Console) -> Iterator[str]:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(title, overflow="fold")
    for column in ("max abs", "relative", "cosine", "SQNR, dB"):
        table.add_column(column, justify="right")
    for told, each in values:
        if isinstance(each, Apart):
            table.add_row(escaped(told), *_figures(each))
    if table.row_count:
        yield from drawn(table, console)
    yield from _reasons(values)


def _reasons(values: Sequence[tuple[str, Apart | NotCompared]]) -> Iterator[str]:
    for told, each in values:
        if isinstance(each, NotCompared):
            yield f"{told} is not compared: {each.reason}"


def _figures(apart: Apart) -> tuple[str, ...]:
    if apart.equal:
        return "equal", "", "", ""
    ratio = "-" if math.isnan(apart.sqnr) else f"{apart.sqnr:.1f}"
    return f"{apart.max_abs:.3g}", f"{apart.relative:.3g}", f"{apart.cosine:.6f}", ratio


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."
