"""A profile as a table: one row for each operator, models side by side, and the nodes that take longest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

from olivelike.contracts.outcome import Measurement

if TYPE_CHECKING:
    from rich.console import Console

MOST_NODES = 5


def profile_lines(profiles: Mapping[str, Measurement], console: Console) -> Iterator[str]:
    """Yields profiles side by side.

    Args:
        profiles: the metric `profile` of each model, by what the model is called.
        console: where they are printed.
    """
    from rich.table import Table

    from olivelike.cli.drawing import drawn, escaped

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("operator", overflow="fold")
    for name in profiles:
        table.add_column(escaped(f"{name}, ms (share, nodes)"), justify="right", overflow="fold")
    for row in _rows(profiles):
        table.add_row(*map(escaped, row))
    yield from drawn(table, console)
    for name, found in profiles.items():
        yield ""
        yield f"slowest nodes of {name}:"
        for node in _listed(found, "nodes")[:MOST_NODES]:
            where = str(node["provider"]).removesuffix("ExecutionProvider")
            yield f"  {node['ms']:.3f} ms, {node['share']:.1%}: {node['op_type']} {node['name']} ({where})"


def _rows(profiles: Mapping[str, Measurement]) -> Iterator[list[str]]:
    by_operator = [{str(row["op_type"]): row for row in _listed(found, "operators")} for found in profiles.values()]
    most: dict[str, float] = {}
    for rows in by_operator:
        for op_type, row in rows.items():
            most[op_type] = max(most.get(op_type, 0.0), cast("float", row["ms"]))
    for op_type in sorted(most, key=lambda op_type: (-most[op_type], op_type)):
        yield [op_type, *(_cell(rows[op_type]) if op_type in rows else "-" for rows in by_operator)]
    yield ["all kernels", *(f"{found.value:.3f}" for found in profiles.values())]
    yield ["outside kernels", *(f"{found.details['outside_kernels_ms']:.3f}" for found in profiles.values())]


def _cell(row: Mapping[str, object]) -> str:
    return f"{row['ms']:.3f} ({row['share']:.0%}, {row['nodes']})"


def _listed(found: Measurement, key: str) -> list[dict[str, object]]:
    return cast("list[dict[str, object]]", found.details[key])
